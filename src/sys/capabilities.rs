//! The capability sets of a process (capabilities(7)), for a child that is about to execute a program.

use nix::errno::Errno;
use nix::libc;

/// A set of capabilities: bit n is capability n.
pub type CapabilityBits = u64;

/// The last capability of this kernel.
pub fn last() -> u32 {
    let is_known = |capability: u32| {
        // SAFETY: one integer, and nothing is changed.
        unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(capability)) >= 0 }
    };
    (0..CapabilityBits::BITS).take_while(|capability| is_known(*capability)).last().unwrap_or_default()
}

/// Takes from this process, for good, what is not in `kept`, up to the kernel's `last`. For the child between clone and
/// exec: only system calls.
pub(super) fn limit_bounding_set(kept: CapabilityBits, last: u32) -> Result<(), Errno> {
    for capability in (0..=last).filter(|capability| kept & (1 << capability) == 0) {
        // SAFETY: one integer, which changes this process alone.
        Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability)) })?;
    }
    Ok(())
}

/// What execve(2) would hand on to a program of any user: the ambient and the inheritable set.
pub(super) fn has_heritable() -> bool {
    // An ambient capability is inheritable, too.
    sets().is_ok_and(|sets| sets.iter().any(|set| set.inheritable != 0))
}

/// Empties the inheritable set, and with it the ambient one. For the child between clone and exec: only system calls.
pub(super) fn clear_heritable() -> Result<(), Errno> {
    let mut sets = sets()?;
    sets.iter_mut().for_each(|set| set.inheritable = 0);
    // SAFETY: header and sets are those of version 3, valid for the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &HEADER, sets.as_ptr()) }).map(drop)
}

fn sets() -> Result<[Sets; 2], Errno> {
    let mut sets = [Sets::default(); 2];
    // SAFETY: as above; version 3 fills in two of them.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &HEADER, sets.as_mut_ptr()) })?;
    Ok(sets)
}

/// `struct __user_cap_header_struct`: version 3, of the calling thread.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

const HEADER: Header = Header { version: 0x2008_0522, pid: 0 };

/// `struct __user_cap_data_struct`: 32 capabilities of each set.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_which_capability_is_its_last() {
        let told = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").expect("Linux 3.2 has it");
        assert_eq!(told.trim_end(), last().to_string());
    }
}
