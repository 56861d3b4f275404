//! A process that has nothing more to do, and is to cost next to nothing: it gives all of its memory back, and sleeps.

use nix::libc;
use std::convert::Infallible;
use std::fs;
use std::io;

/// Mappings that are dropped; a program has some thirty. One more would only be kept.
const MAPPINGS_MAX: usize = 64;

/// Gives back all memory, relocated data and heap included, and sleeps for ever. Signals that are neither fatal nor
/// ignored wake it for a moment.
///
/// After that not a line of this program can run, as its data is gone: what is left is a loop around one system call,
/// written so that it needs no memory.
///
/// # Errors
/// Those of reading `/proc/self/maps`; nothing has been dropped then.
pub fn for_ever() -> io::Result<Infallible> {
    let mut ranges = [Range::default(); MAPPINGS_MAX];
    // The stack from here down is what nobody comes back to.
    let stack = (&raw const ranges).addr();
    let maps = fs::read_to_string("/proc/self/maps")?;
    // SAFETY: asks for a number.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page_bytes = usize::try_from(page_bytes).map_err(io::Error::other)?;
    let found = droppable(&maps, stack, page_bytes);
    let count = found.len().min(MAPPINGS_MAX);
    ranges[..count].copy_from_slice(&found[..count]);
    // SAFETY: nothing but the loop runs in this process from here on (there is one thread, see `init`), and it reads
    // only the array, which is in no range that it drops.
    unsafe { drop_and_sleep(&ranges, count) }
}

/// What madvise(2) takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
struct Range {
    start: usize,
    length: usize,
}

/// The mappings in the text of `/proc/PID/maps` (proc_pid_maps(5)), the kernel's own left out, and of the stack only the
/// pages below `stack`. Adjacent ones as one.
fn droppable(maps: &str, stack: usize, page_bytes: usize) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for line in maps.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some((start, end)) = fields.first().and_then(|range| range.split_once('-')) else { continue };
        let address = |hexadecimal| usize::from_str_radix(hexadecimal, 16).ok();
        let (Some(start), Some(end)) = (address(start), address(end)) else { continue };
        let end = match fields.get(5) {
            Some(&"[heap]") | None => end,
            Some(name) if name.starts_with('/') => end,
            _ if (start..end).contains(&stack) => stack & !(page_bytes - 1),
            _ => continue,
        };
        match ranges.last_mut() {
            Some(last) if last.start + last.length == start => last.length += end.saturating_sub(start),
            _ if end > start => ranges.push(Range { start, length: end - start }),
            _ => {}
        }
    }
    ranges
}

/// Drops the first `count` ranges and sleeps. Uses registers only, and the array.
///
/// # Safety
/// No other code may run in this process afterwards, and the array must be in none of the ranges.
#[cfg(target_arch = "x86_64")]
unsafe fn drop_and_sleep(ranges: &[Range; MAPPINGS_MAX], count: usize) -> ! {
    // SAFETY: madvise takes memory that our caller says is not needed; ppoll without descriptors and time waits for
    // signals. The block never ends.
    unsafe {
        std::arch::asm!(
            "2:",
            "test r13, r13",
            "jz 3f",
            "mov eax, {madvise}",
            "mov rdi, [r12]",
            "mov rsi, [r12 + 8]",
            "mov edx, {dont_need}",
            "syscall",
            "add r12, 16",
            "dec r13",
            "jmp 2b",
            "3:",
            "mov eax, {ppoll}",
            "xor edi, edi",
            "xor esi, esi",
            "xor edx, edx",
            "xor r10d, r10d",
            "xor r8d, r8d",
            "syscall",
            "jmp 3b",
            madvise = const libc::SYS_madvise,
            dont_need = const libc::MADV_DONTNEED,
            ppoll = const libc::SYS_ppoll,
            in("r12") ranges.as_ptr(),
            in("r13") count,
            options(noreturn),
        );
    }
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn drop_and_sleep(ranges: &[Range; MAPPINGS_MAX], count: usize) -> ! {
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "2:",
            "cbz x21, 3f",
            "mov x8, #{madvise}",
            "ldp x0, x1, [x20], #16",
            "mov x2, #{dont_need}",
            "svc #0",
            "sub x21, x21, #1",
            "b 2b",
            "3:",
            "mov x8, #{ppoll}",
            "mov x0, xzr",
            "mov x1, xzr",
            "mov x2, xzr",
            "mov x3, xzr",
            "mov x4, xzr",
            "svc #0",
            "b 3b",
            madvise = const libc::SYS_madvise,
            dont_need = const libc::MADV_DONTNEED,
            ppoll = const libc::SYS_ppoll,
            in("x20") ranges.as_ptr(),
            in("x21") count,
            options(noreturn),
        );
    }
}

/// On other CPUs nothing is dropped.
///
/// # Safety
/// None is needed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn drop_and_sleep(_: &[Range; MAPPINGS_MAX], _: usize) -> ! {
    loop {
        // SAFETY: waits for a signal.
        unsafe { libc::pause() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_kernels_own_and_the_stack_in_use_is_dropped() {
        let maps = "\
1000-3000 r--p 00000000 fe:00 7    /usr/sbin/auraed (deleted)
3000-8000 r-xp 00002000 fe:00 7    /usr/sbin/auraed (deleted)
a000-b000 rw-p 00000000 00:00 0    [heap]
c000-d000 rw-p 00000000 00:00 0
20000-40000 rw-p 00000000 00:00 0  [stack]
50000-51000 r--p 00000000 00:00 0  [vvar]
51000-52000 r-xp 00000000 00:00 0  [vdso]
";
        let range = |start, end| Range { start, length: end - start };
        let expected =
            [range(0x1000, 0x8000), range(0xa000, 0xb000), range(0xc000, 0xd000), range(0x20000, 0x3f000)];
        assert_eq!(droppable(maps, 0x3f123, 0x1000), expected);
    }
}
