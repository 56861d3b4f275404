//! An executable, from the message to parsed types: all bad fields at once.

use crate::grpc::status::Status;
use crate::proto::aurae::runtime::v0::{
    CapabilitySet, CellServiceStartRequest, Executable, LogMode, LogPolicy, RestartCondition, RestartPolicy,
    Rlimit,
};
use crate::runtime::{self, Arguments, CellName, Command, ExecutableName, ExecutableSpec, Program, User};
use crate::services::refusal::Violations;

pub fn parse_start(request: CellServiceStartRequest) -> Result<(CellName, ExecutableSpec), Status> {
    let mut bad = Violations::default();
    let cell = bad.check("cell_name", CellName::parse(&request.cell_name));
    let user = User {
        uid: bad.check_optional("uid", request.uid.map(runtime::parse_id)),
        gid: bad.check_optional("gid", request.gid.map(runtime::parse_id)),
    };
    let Some(executable) = request.executable else {
        bad.add("executable", &"is missing; it needs a name, and a command or args");
        return Err(bad.into_status());
    };
    match (cell, parse_executable(executable, user, &mut bad)) {
        (Some(cell), Some(spec)) if bad.0.is_empty() => Ok((cell, spec)),
        _ => Err(bad.into_status()),
    }
}

fn parse_executable(executable: Executable, user: User, bad: &mut Violations) -> Option<ExecutableSpec> {
    let name = bad.check("executable.name", ExecutableName::parse(&executable.name));
    let program = parse_program(&executable.command, executable.args, bad);
    let description =
        bad.check("executable.description", runtime::Description::parse(&executable.description));
    let environment = bad.check("executable.env", runtime::Environment::parse(executable.env));
    let directory = Some(&executable.working_directory).filter(|directory| !directory.is_empty());
    let directory = bad.check_optional(
        "executable.working_directory",
        directory.map(|directory| runtime::WorkingDirectory::parse(directory)),
    );
    let limits = parse_limits(&executable.rlimits, bad);
    let capabilities = executable.capabilities.map(|set| parse_capabilities(&set, bad));
    let stdin = bad.check_optional("executable.stdin", executable.stdin.map(runtime::StandardInput::parse));
    let restart = executable.restart.map(|policy| parse_restart(policy, bad)).unwrap_or_default();
    let log = executable.log.map(|policy| parse_log(policy, bad)).unwrap_or_default();
    Some(ExecutableSpec {
        description: description?,
        environment: environment?,
        directory: directory.unwrap_or_default(),
        limits,
        user,
        capabilities,
        no_new_privileges: executable.no_new_privileges,
        stdin,
        restart,
        log,
        ..ExecutableSpec::new(name?, program?)
    })
}

fn parse_program(command: &str, arguments: Vec<String>, bad: &mut Violations) -> Option<Program> {
    match (command.is_empty(), arguments.is_empty()) {
        (true, false) => bad.check("executable.args", Arguments::parse(arguments)).map(Program::Direct),
        (false, false) => {
            bad.add("executable.args", &"is set beside executable.command; accepted: one of them");
            None
        }
        // Neither is what an older client has forgotten: the command.
        (_, true) => bad.check("executable.command", Command::parse(command)).map(Program::Shell),
    }
}

fn parse_limits(limits: &[Rlimit], bad: &mut Violations) -> runtime::ResourceLimits {
    let mut parsed = runtime::ResourceLimits::default();
    if too_many("executable.rlimits", limits.len(), runtime::ResourceLimits::COUNT_MAX, bad) {
        return parsed;
    }
    for (index, limit) in limits.iter().enumerate() {
        let added = parsed.add(&limit.name, limit.soft, limit.hard);
        bad.check(&format!("executable.rlimits[{index}]"), added);
    }
    parsed
}

fn parse_capabilities(set: &CapabilitySet, bad: &mut Violations) -> runtime::CapabilitySet {
    let mut parsed = runtime::CapabilitySet::default();
    let field = "executable.capabilities.names";
    if too_many(field, set.names.len(), runtime::CapabilitySet::COUNT_MAX, bad) {
        return parsed;
    }
    for (index, name) in set.names.iter().enumerate() {
        bad.check(&format!("{field}[{index}]"), parsed.add(name));
    }
    parsed
}

/// More than there are kinds of: told once, and not for each.
fn too_many(field: &str, count: usize, most: usize, bad: &mut Violations) -> bool {
    let is_so = count > most;
    if is_so {
        bad.add(field, &format!("there are {count}; accepted: at most {most}, each once"));
    }
    is_so
}

fn parse_restart(policy: RestartPolicy, bad: &mut Violations) -> runtime::RestartPolicy {
    let condition = match RestartCondition::try_from(policy.condition) {
        Ok(RestartCondition::Unspecified | RestartCondition::Never) => runtime::RestartCondition::Never,
        Ok(RestartCondition::OnFailure) => runtime::RestartCondition::OnFailure,
        Ok(RestartCondition::Always) => runtime::RestartCondition::Always,
        Err(_) => {
            let why =
                format!("{} is unknown; accepted: 0 to 3, never, on failure and always", policy.condition);
            bad.add("executable.restart.condition", &why);
            return runtime::RestartPolicy::default();
        }
    };
    if condition == runtime::RestartCondition::Never && policy.max_restarts.is_some() {
        bad.add("executable.restart.max_restarts", &"has no meaning without a condition; set both or none");
    }
    runtime::RestartPolicy { condition, max_restarts: policy.max_restarts }
}

fn parse_log(policy: LogPolicy, bad: &mut Violations) -> runtime::LogPolicy {
    let mut parsed = runtime::LogPolicy::default();
    let mode = LogMode::try_from(policy.mode);
    match mode {
        Ok(LogMode::Unspecified | LogMode::Ring) => {}
        Ok(LogMode::Block) => parsed.mode = runtime::LogMode::Block,
        Ok(LogMode::File) => parsed.mode = runtime::LogMode::File(parse_files(&policy, bad)),
        Err(_) => {
            let why = format!("{} is unknown; accepted: 0 to 3, ring, block and file", policy.mode);
            bad.add("executable.log.mode", &why);
            // They may be meant, and wrong, too.
            parse_files(&policy, bad);
        }
    }
    if mode.is_ok_and(|mode| mode != LogMode::File) {
        refuse_files(&policy, bad);
    }
    let ring = policy.ring_bytes.map(runtime::RingBytes::parse);
    if let Some(ring) = bad.check_optional("executable.log.ring_bytes", ring) {
        parsed.ring = ring;
    }
    parsed
}

fn parse_files(policy: &LogPolicy, bad: &mut Violations) -> runtime::FileBounds {
    let mut bounds = runtime::FileBounds::default();
    let bytes = policy.file_bytes_max.map(|most| bounds.with_bytes(most));
    bounds = bad.check_optional("executable.log.file_bytes_max", bytes).unwrap_or(bounds);
    let count = policy.file_count_max.map(|most| bounds.with_count(most));
    bounds = bad.check_optional("executable.log.file_count_max", count).unwrap_or(bounds);
    let age = policy.file_age_seconds_max.map(|most| bounds.with_age_seconds(most));
    bad.check_optional("executable.log.file_age_seconds_max", age).unwrap_or(bounds)
}

fn refuse_files(policy: &LogPolicy, bad: &mut Violations) {
    for (field, is_set) in [
        ("executable.log.file_bytes_max", policy.file_bytes_max.is_some()),
        ("executable.log.file_count_max", policy.file_count_max.is_some()),
        ("executable.log.file_age_seconds_max", policy.file_age_seconds_max.is_some()),
    ] {
        if is_set {
            bad.add(field, &"has no meaning without files; set the mode to LOG_MODE_FILE, or leave it unset");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(
        change: impl FnOnce(&mut CellServiceStartRequest, &mut Executable),
    ) -> CellServiceStartRequest {
        let mut request = CellServiceStartRequest { cell_name: "web".to_owned(), ..Default::default() };
        let mut executable = Executable { name: "job".to_owned(), ..Executable::default() };
        change(&mut request, &mut executable);
        request.executable = Some(executable);
        request
    }

    #[test]
    fn all_bad_fields_are_told_at_once() {
        let request = request(|request, executable| {
            request.uid = Some(u32::MAX);
            request.gid = Some(u32::MAX);
            executable.command = "true".to_owned();
            executable.args = vec!["true".to_owned()];
            executable.env.insert("a=b".to_owned(), String::new());
            executable.working_directory = "tmp".to_owned();
            let limit = |name: &str, hard| Rlimit { name: name.to_owned(), soft: Some(2), hard };
            executable.rlimits = vec![limit("core", Some(2)), limit("fds", None), limit("cpu", Some(1))];
            executable.capabilities = Some(CapabilitySet { names: vec!["kill".to_owned()] });
            executable.stdin = Some(vec![0; 65_537]);
        });
        let fields: Vec<_> =
            parse_start(request).expect_err("all bad").violations().into_iter().map(|v| v.field).collect();
        let expected = [
            "uid",
            "gid",
            "executable.args",
            "executable.env",
            "executable.working_directory",
            "executable.rlimits[1]",
            "executable.rlimits[2]",
            "executable.capabilities.names[0]",
            "executable.stdin",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn either_a_command_or_arguments() {
        let start = |command: &str, args: &[&str]| {
            let args = args.iter().map(|arg| (*arg).to_owned()).collect();
            let request = request(|_, executable| {
                (executable.command, executable.args) = (command.to_owned(), args);
            });
            parse_start(request).map(|(_, spec)| spec.program)
        };
        assert!(matches!(start("true", &[]), Ok(Program::Shell(_))));
        assert!(matches!(start("", &["true"]), Ok(Program::Direct(_))));
        assert!(
            start("", &[]).expect_err("neither").message.contains("executable.command: the command is empty")
        );
        assert!(start("true", &["true"]).expect_err("both").message.contains("accepted: one of them"));
    }

    #[test]
    fn a_list_that_is_far_too_long_is_one_fault() {
        let request = request(|_, executable| {
            executable.command = "true".to_owned();
            executable.rlimits = vec![Rlimit::default(); 100_000];
            executable.capabilities = Some(CapabilitySet { names: vec![String::new(); 100_000] });
        });
        let violations = parse_start(request).expect_err("too many").violations();
        assert_eq!(violations.len(), 2, "{violations:?}");
        assert!(
            violations[0].description.contains("there are 100000; accepted: at most 16"),
            "{violations:?}"
        );
    }

    #[test]
    fn a_policy_is_told_all_that_is_wrong_with_it() {
        let fields = |policy| {
            let request = request(|_, executable| {
                executable.command = "true".to_owned();
                executable.log = Some(policy);
            });
            let fields = parse_start(request).map_err(|status| status.violations());
            fields
                .map(drop)
                .map_err(|bad| bad.into_iter().map(|violation| violation.field).collect::<Vec<_>>())
        };
        let all = LogPolicy {
            mode: 9,
            ring_bytes: Some(1),
            file_bytes_max: Some(1),
            file_count_max: Some(1000),
            file_age_seconds_max: Some(0),
        };
        let names = ["mode", "file_bytes_max", "file_count_max", "file_age_seconds_max", "ring_bytes"];
        assert_eq!(fields(all), Err(names.map(|name| format!("executable.log.{name}")).to_vec()));
        let ring = LogPolicy { file_count_max: Some(1), ..LogPolicy::default() };
        assert_eq!(fields(ring), Err(vec!["executable.log.file_count_max".to_owned()]));
        assert_eq!(fields(LogPolicy { mode: LogMode::File.into(), ..ring }), Ok(()));
    }
}
