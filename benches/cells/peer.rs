//! The least that starting a program can cost: a clone that shares memory, as vfork(2) does, and an exec.

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::ffi::{CStr, CString};

const STACK_BYTES: usize = 64 << 10;

/// Programs that were started, and are reaped when this is dropped.
pub struct Bare {
    program: CString,
    stack: Vec<u8>,
    started: Vec<Pid>,
}

impl Bare {
    pub fn new(program: &str) -> Self {
        let program = CString::new(program).expect("no NUL");
        Self { program, stack: vec![0; STACK_BYTES], started: Vec::new() }
    }

    /// Returns when the program has been executed.
    pub fn start(&mut self) {
        extern "C" fn execute(program: *mut libc::c_void) -> libc::c_int {
            let arguments = [program.cast_const().cast::<libc::c_char>(), std::ptr::null()];
            // SAFETY: the program's path ends in a NUL, the arguments in a null pointer; both outlive the call, as the
            // parent stands still. Nothing but system calls is made.
            unsafe {
                libc::execve(arguments[0], arguments.as_ptr(), arguments[1..].as_ptr());
                libc::_exit(127)
            }
        }
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
        let argument = CStr::as_ptr(&self.program).cast_mut().cast();
        let top = self.stack.as_mut_ptr_range().end;
        let top = top.map_addr(|address| address & !15);
        let mut pidfd: libc::c_int = -1;
        // SAFETY: the stack is the child's alone until the call returns (CLONE_VFORK), and `execute` never returns.
        let pid = unsafe { libc::clone(execute, top.cast(), flags, argument, &raw mut pidfd) };
        self.started.push(Pid::from_raw(Errno::result(pid).expect("clone")));
        // SAFETY: the kernel has made this descriptor for us, and nothing else knows of it.
        unsafe { libc::close(pidfd) };
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for pid in self.started.drain(..) {
            let _ = waitpid(pid, None);
        }
    }
}
