//! Memory that the process has and no longer needs, given back to the kernel.

use std::fs;
use std::io;

use nix::libc;

/// Gives free heap pages back (malloc_trim(3)). glibc keeps what a burst needed until asked; other C libraries give it
/// back by themselves.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no preconditions and takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Takes all code out of our page tables (madvise(2), `MADV_DONTNEED`). What still runs comes back from the page cache
/// at its next use, 64 KiB a fault; what only the start needed does not, and the kernel, which protects pages of
/// programs that are mapped, may reuse it. A third of what the daemon had mapped at its start is never used again.
///
/// # Errors
/// Those of reading `/proc/self/smaps`; nothing depends on the outcome.
pub fn unmap_code() -> io::Result<()> {
    for (start, length) in pristine_code(&fs::read_to_string("/proc/self/smaps")?) {
        // SAFETY: a private mapping of a file, which nobody may write and of which no page differs from the file: each
        // page that is dropped reads the same when it is faulted in again.
        unsafe { libc::madvise(std::ptr::without_provenance_mut(start), length, libc::MADV_DONTNEED) };
    }
    Ok(())
}

/// The executable mappings of files in the text of smaps (proc_pid_smaps(5)), as address and length. Those with pages
/// of their own (relocated code, a debugger's breakpoints) are left out: for these the file is not the truth.
fn pristine_code(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match fields[..] {
            [range, "r-xp", _, _, _, path, ..] if path.starts_with('/') => candidate = parse_range(range),
            [_, permissions, _, _, _, ..] if permissions.len() == 4 => candidate = None,
            ["Anonymous:", "0", "kB"] => found.extend(candidate.take()),
            _ => {}
        }
    }
    found
}

fn parse_range(range: &str) -> Option<(usize, usize)> {
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_that_equals_its_file_is_chosen() {
        let smaps = "\
1000-3000 r-xp 00001000 fe:00 7  /usr/sbin/auraed
Size:                  8 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
3000-4000 r--p 00003000 fe:00 7  /usr/sbin/auraed
Anonymous:             0 kB
5000-6000 r-xp 00001000 fe:00 8  /lib/relocated.so
Anonymous:             4 kB
7000-8000 r-xp 00000000 00:00 0  [vdso]
Anonymous:             0 kB
9000-a000 rw-p 00000000 00:00 0
Anonymous:             0 kB
";
        assert_eq!(pristine_code(smaps), [(0x1000, 0x2000)]);
    }

    #[test]
    fn code_runs_on_after_it_was_unmapped() {
        unmap_code().expect("/proc is mounted");
        assert_eq!("still here".len(), 10);
    }
}
