//! Where a seccomp filter refuses system calls, as those of some container engines do.

use std::process;

/// Has the command run under a filter that answers ENOSYS to clone3 (seccomp(2)).
pub fn without_clone3(mut command: process::Command) -> process::Command {
    use nix::libc::{self, BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
    use std::os::unix::process::CommandExt;
    let statement = |code: u32, k: u32, jf: u8| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let mut filter = [
        // The number of the system call is the first word of seccomp_data.
        statement(BPF_LD | BPF_W | BPF_ABS, 0, 0),
        statement(BPF_JMP | BPF_JEQ | BPF_K, libc::SYS_clone3 as u32, 1),
        statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32, 0),
        statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let install = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: one system call, which reads a filter that is valid for the call.
        let installed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
        nix::errno::Errno::result(installed).map(drop).map_err(Into::into)
    };
    // SAFETY: `install` makes one system call and allocates nothing.
    unsafe { command.pre_exec(install) };
    command
}
