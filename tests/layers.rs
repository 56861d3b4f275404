//! The house rules that a compiler does not check: which module may use which, where code may wait, where it may be
//! unsafe. The tables below are the rules; ARCHITECTURE.md says what they are for.

use std::fs;
use std::path::{Path, PathBuf};

/// Which top modules of the crate each may name in `crate::…`. A module always may name itself. A module that is
/// missing here is an error: give it a row.
const MAY_USE: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("limits", &[]),
    // For the addresses to listen on, which are parsed into the type that listens.
    ("config", &["limits", "transport"]),
    ("work", &["limits"]),
    ("grpc", &["limits"]),
    ("proto", &["grpc", "limits"]),
    // It starts the init of a cell, which is this program again, and speaks with it.
    ("runtime", &["sys", "limits", "init"]),
    ("services", &["proto", "grpc", "runtime", "work", "limits"]),
    ("transport", &["grpc", "work", "limits", "sys"]),
    ("client", &["proto", "grpc", "limits", "transport"]),
    ("init", &["sys", "limits"]),
    // Takes what all others log, and gives it to those who ask for it.
    ("daemon_log", &["services", "runtime", "limits"]),
    // The composition root and the programs put the parts together, so they see all of them.
    ("daemon", ANY),
    // The list of fuzz bodies, which stand in all parts; built for tests and fuzzing alone.
    ("fuzz", ANY),
    ("main", ANY),
    ("lib", ANY),
    ("bin", ANY),
];

const ANY: &[&str] = &["*"];

/// Where `.await` may stand. Everything else is synchronous, so that it can be read, tested and fuzzed without an
/// executor, and so that nothing of it can be dropped half-way.
const MAY_AWAIT: &[(&str, &str)] = &[
    ("src/transport/", "drives the sockets"),
    ("src/services/", "waits for the pool, for exits and for grace periods"),
    ("src/proto/mod.rs", "the helpers between the generated table and the services"),
    ("src/work.rs", "the handle that a service awaits"),
    ("src/daemon.rs", "the order of start and stop"),
    ("src/client", "one call after the other"),
    ("src/bin/aer", "the client's command line"),
];

/// Where `unsafe` may stand, and there only under a SAFETY comment.
const MAY_BE_UNSAFE: &[&str] = &["src/sys/"];

/// How far above an `unsafe` its SAFETY comment may end, in lines.
const SAFETY_LINES_ABOVE: usize = 6;

#[test]
fn modules_use_only_what_is_below_them() {
    assert_clean(edge_violations);
}

#[test]
fn only_the_asynchronous_layers_await() {
    assert_clean(await_violations);
}

#[test]
fn unsafe_code_is_in_sys_and_explained() {
    assert_clean(unsafe_violations);
}

fn assert_clean(violations: fn(&str, &str) -> Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = rust_files(&root.join("src"));
    assert!(files.len() > 1, "found no source to check under {}", root.display());
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).expect("files are below the root").display().to_string();
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("failed to read {name}: {error}"));
        found.extend(violations(&name, &text));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("failed to list {}: {error}", folder.display()))
    {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

// The rules. Each takes a file's name and text, and says "file:line: what, and what would be allowed".

fn edge_violations(file: &str, text: &str) -> Vec<String> {
    let from = top_module(file);
    let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| *module == from) else {
        return vec![format!("{file}:1: the module `{from}` has no row in MAY_USE of tests/layers.rs")];
    };
    if *allowed == ANY {
        return Vec::new();
    }
    let code = without_tests(&without_comments_and_strings(text));
    let names = root_paths(&code, module_depth(file));
    let broken = names.into_iter().filter(|(_, to)| *to != from && !allowed.contains(&to.as_str()));
    let may_use = if allowed.is_empty() { "nothing of the crate".into() } else { allowed.join(", ") };
    broken
        .map(|(at, to)| {
            format!("{file}:{}: `{from}` uses `crate::{to}`; it may use {may_use}", line_of(&code, at))
        })
        .collect()
}

fn await_violations(file: &str, text: &str) -> Vec<String> {
    if MAY_AWAIT.iter().any(|(place, _)| file.starts_with(place)) {
        return Vec::new();
    }
    let code = without_tests(&without_comments_and_strings(text));
    let allowed: Vec<_> = MAY_AWAIT.iter().map(|(place, _)| *place).collect();
    words(&code)
        .filter(|(at, word)| *word == "await" && code[..*at].trim_end().ends_with('.'))
        .map(|(at, _)| {
            format!("{file}:{}: `.await` may stand only in {}", line_of(&code, at), allowed.join(", "))
        })
        .collect()
}

fn unsafe_violations(file: &str, text: &str) -> Vec<String> {
    let code = without_comments_and_strings(text);
    let in_its_place = MAY_BE_UNSAFE.iter().any(|place| file.starts_with(place));
    let mut found = Vec::new();
    for (at, _) in words(&code).filter(|(_, word)| *word == "unsafe") {
        let line = line_of(&code, at);
        if !in_its_place {
            let places = MAY_BE_UNSAFE.join(", ");
            found.push(format!("{file}:{line}: `unsafe` may stand only in {places}: wrap the call there"));
        } else if !has_safety_comment(text, line) {
            found.push(format!(
                "{file}:{line}: no `// SAFETY:` (or `# Safety` in the doc of an unsafe fn) within {SAFETY_LINES_ABOVE} lines above: say what the call requires and why it holds here"
            ));
        }
    }
    found
}

fn has_safety_comment(text: &str, line: usize) -> bool {
    let above = text.lines().take(line).skip(line.saturating_sub(SAFETY_LINES_ABOVE + 1));
    let mut comments = above.filter_map(|line| line.find("//").map(|at| &line[at..]));
    comments.any(|comment| comment.contains("SAFETY:") || comment.contains("# Safety"))
}

// Reading Rust, as far as the rules need it.

/// `src/grpc/frame.rs` -> `grpc`, `src/work.rs` -> `work`, `src/bin/aer/main.rs` -> `bin`.
fn top_module(file: &str) -> &str {
    let path = file.strip_prefix("src/").unwrap_or(file);
    path.split(['/', '.']).next().expect("split gives at least one part")
}

/// How many `super::` lead from the file's module to the root of the crate.
fn module_depth(file: &str) -> usize {
    let path = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" || path == "main" { 0 } else { path.split('/').count() }
}

/// The text with comments and the contents of literals blanked out; places and lines stay as they were.
fn without_comments_and_strings(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'r' if !is_word_before(bytes, at) => raw_string_end(bytes, at),
            b'"' => quoted_end(bytes, at, b'"'),
            b'\'' => character_end(bytes, at),
            _ => at,
        };
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(code).expect("only whole literals and comments were replaced, by ASCII")
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

/// Block comments nest (Rust reference, "Comments").
fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// `r"…"` and `r#"…"#`; `at` itself when it is a word such as `result` or a raw name such as `r#type`.
fn raw_string_end(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return at;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = at + 2 + hashes;
    let length = bytes[body..].windows(close.len()).position(|window| window == close);
    length.map_or(bytes.len(), |length| body + length + close.len())
}

fn quoted_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// A character literal's end; `at` itself for a lifetime.
fn character_end(bytes: &[u8], at: usize) -> usize {
    let escaped = bytes.get(at + 1) == Some(&b'\\');
    let character = std::str::from_utf8(&bytes[at + 1..(at + 5).min(bytes.len())]);
    let valid = character.unwrap_or_else(|error| {
        std::str::from_utf8(&bytes[at + 1..at + 1 + error.valid_up_to()]).expect("valid up to there")
    });
    let length = valid.chars().next().map_or(0, char::len_utf8);
    if escaped || (length > 0 && bytes.get(at + 1 + length) == Some(&b'\'')) {
        quoted_end(bytes, at, b'\'')
    } else {
        at
    }
}

/// The code with every item under `#[cfg(test)]` blanked out.
fn without_tests(code: &str) -> String {
    let mut rest = code.to_owned();
    while let Some(start) = rest.find("#[cfg(test)]") {
        let end = item_end(&rest, start);
        let blank: String = rest[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        rest.replace_range(start..end, &blank);
    }
    rest
}

/// The end of the item that starts at `start`: its first `;` outside brackets, or the brace that closes its first one.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' | b']' | b')' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The names that stand right below the root of the crate in paths: `crate::NAME`, `crate::{NAME, …}`, and as many
/// `super::` as lead there. With each, its place.
fn root_paths(code: &str, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let modules = inline_modules(code);
    let mut all = words(code).peekable();
    while let Some((at, word)) = all.next() {
        let inside = modules.iter().filter(|(start, end)| (*start..*end).contains(&at)).count();
        let mut end = at + word.len();
        let at_root = match word {
            "crate" => true,
            "super" => {
                let mut levels = 1;
                while let Some((next, "super")) = all.peek().copied()
                    && code[end..next].trim() == "::"
                {
                    levels += 1;
                    end = next + "super".len();
                    all.next();
                }
                levels >= depth + inside
            }
            _ => false,
        };
        if at_root {
            found.extend(names_after(code, end));
        }
    }
    found
}

/// The first name of each path that follows `::` at `end`: one, or those of a `{…}` group.
fn names_after(code: &str, end: usize) -> Vec<(usize, String)> {
    let Some(path) = code[end..].trim_start().strip_prefix("::") else { return Vec::new() };
    let path = path.trim_start();
    let start = code.len() - path.len();
    if !path.starts_with('{') {
        return words(path)
            .next()
            .filter(|(at, _)| *at == 0)
            .map(|(_, name)| (start, name.to_owned()))
            .into_iter()
            .collect();
    }
    let mut found = Vec::new();
    let (mut depth, mut first) = (0, false);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'{' => {
                depth += 1;
                first = depth == 1;
            }
            b'}' if depth == 1 => break,
            b'}' => depth -= 1,
            b',' => first = depth == 1,
            _ if byte.is_ascii_whitespace() => {}
            _ if first => {
                let name = words(&path[at..]).next().map_or("", |(_, name)| name);
                found.push((start + at, name.to_owned()));
                first = false;
            }
            _ => {}
        }
    }
    found
}

/// Start and end of the body of each `mod name { … }`.
fn inline_modules(code: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in words(code).filter(|(_, word)| *word == "mod") {
        let end = item_end(code, at);
        if code[at..end].ends_with('}') {
            found.push((at, end));
        }
    }
    found
}

/// The words of the code with their places.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code[at..].find(is_word)?;
        at = code[start..].find(|c| !is_word(c)).map_or(code.len(), |length| start + length);
        Some((start, &code[start..at]))
    })
}

fn is_word_before(bytes: &[u8], at: usize) -> bool {
    // `br"…"` and `cr"…"` are raw strings too.
    let before = at.checked_sub(1).map(|before| bytes[before]);
    before.is_some_and(|byte| (byte.is_ascii_alphanumeric() && byte != b'b' && byte != b'c') || byte == b'_')
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

// The scanner itself: each rule can fail, and doesn't fail on what only looks like it.

#[test]
fn an_edge_upwards_is_found_however_it_is_written() {
    for code in [
        "use crate::services::Cells;",
        "use crate::{limits, services};",
        "use crate::{limits::{self, FRAME_MAX}, services::{Cells}};",
        "fn f() { crate::services::f() }",
        "use crate :: services;",
        "use super::super::services::Cells;",
        "mod inner { use super::super::super::services; }",
        "pub(in crate::services) fn f() {}",
    ] {
        let found = edge_violations("src/grpc/frame.rs", &format!("\n{code}"));
        assert_eq!(found.len(), 1, "{code}: {found:?}");
        let text = "src/grpc/frame.rs:2: `grpc` uses `crate::services`; it may use limits";
        assert_eq!(found[0], text, "{code}");
    }
}

#[test]
fn what_is_no_edge_upwards_is_let_pass() {
    for code in [
        "use crate::limits::FRAME_MAX;",
        "use crate::grpc::Status;",
        "use super::services;",
        "pub(crate) fn f() {}",
        "// use crate::services;",
        "/* /* */ use crate::services; */",
        "const A: &str = \"crate::services\";",
        "const A: &str = r#\"\" crate::services \"#;",
        "const Q: char = '\"'; // crate::services \"",
        "fn f<'a>(_: &'a str) {} // 'crate::services'",
        "#[cfg(test)]\nmod tests { use crate::services; }",
        "#[cfg(test)]\nuse crate::services;",
        "mod inner { use super::super::services; }",
    ] {
        assert_eq!(edge_violations("src/grpc/frame.rs", code), Vec::<String>::new(), "{code}");
    }
    assert!(edge_violations("src/daemon.rs", "use crate::services;").is_empty());
    assert!(edge_violations("src/bin/aer/main.rs", "use crate::services;").is_empty());
}

#[test]
fn code_after_a_test_module_is_still_checked() {
    let code = "#[cfg(test)]\nmod tests { fn f() { g([1; 2]); } }\nuse crate::services;";
    assert_eq!(edge_violations("src/grpc/mod.rs", code).len(), 1);
    assert_eq!(edge_violations("src/grpc/mod.rs", "use super::services;").len(), 1);
}

#[test]
fn an_unknown_module_asks_for_a_row() {
    let found = edge_violations("src/novelty.rs", "");
    assert!(found[0].contains("`novelty` has no row"), "{found:?}");
}

#[test]
fn an_await_outside_its_layers_is_found() {
    let found =
        await_violations("src/runtime/cells.rs", "// .await\nasync fn f() {\n    g()\n        .await;\n}");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("src/runtime/cells.rs:4: `.await` may stand only in src/transport/"),
        "{found:?}"
    );
    assert!(await_violations("src/services/cells.rs", "f().await").is_empty());
    assert!(await_violations("src/proto/generated.rs", "f().await").len() == 1);
    assert!(await_violations("src/grpc/frame.rs", "let await_count = x.awaited;").is_empty());
}

#[test]
fn unsafe_outside_sys_or_unexplained_is_found() {
    let bare = "fn f() {\n    unsafe { g() }\n}";
    let found = unsafe_violations("src/runtime/spawn.rs", bare);
    assert!(found[0].starts_with("src/runtime/spawn.rs:2: `unsafe` may stand only in src/sys/"), "{found:?}");
    let found = unsafe_violations("src/sys/clone.rs", bare);
    assert!(found[0].starts_with("src/sys/clone.rs:2: no `// SAFETY:`"), "{found:?}");
    let explained = "fn f() {\n    // SAFETY: g asks for nothing.\n    unsafe { g() }\n}";
    assert!(unsafe_violations("src/sys/clone.rs", explained).is_empty());
    let far = format!("// SAFETY: too far.{}unsafe {{ g() }}", "\n".repeat(SAFETY_LINES_ABOVE + 1));
    assert_eq!(unsafe_violations("src/sys/clone.rs", &far).len(), 1);
    let near = format!("// SAFETY: near enough.{}unsafe {{ g() }}", "\n".repeat(SAFETY_LINES_ABOVE));
    assert!(unsafe_violations("src/sys/clone.rs", &near).is_empty());
    assert!(unsafe_violations("src/lib.rs", "#![deny(unsafe_code)] // unsafe").is_empty());
}
