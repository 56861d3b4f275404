//! The executable that writes, this program itself: as fast as a pipe takes it.

use std::io::Write;

/// With the newline.
pub const LINE_BYTES: usize = 100;

/// Numbered lines on standard output.
pub fn write(lines: usize) {
    let mut out = std::io::BufWriter::with_capacity(64 << 10, std::io::stdout().lock());
    let mut line = [b'.'; LINE_BYTES];
    line[LINE_BYTES - 1] = b'\n';
    for number in 0..lines {
        let mut digits = number;
        for digit in line[..10].iter_mut().rev() {
            *digit = b'0' + (digits % 10) as u8;
            digits /= 10;
        }
        out.write_all(&line).expect("somebody reads");
    }
    out.flush().expect("somebody reads");
}
