use super::*;

fn push(ring: &mut Ring, text: &str, sequence: u64, age: &mut u64) {
    ring.extend(text.as_bytes(), age);
    ring.end(Stamp { sequence, time: 0 }, false);
}

fn read(ring: &Ring, mut place: Place) -> (Vec<String>, Place) {
    let mut lines = Vec::new();
    while let Some((record, behind)) = ring.record(place) {
        lines.push(String::from_utf8_lossy(record.bytes).into_owned());
        place = behind;
    }
    (lines, place)
}

#[test]
fn a_record_is_read_when_it_has_ended() {
    let (mut ring, mut age) = (Ring::new(4 << 10), 0);
    let place = ring.oldest();
    ring.extend(b"one, ", &mut age);
    assert!(ring.is_open() && ring.open_bytes() == 5);
    assert_eq!(read(&ring, place), (vec![], place));
    ring.extend(b"two", &mut age);
    ring.end(Stamp { sequence: 7, time: -1 }, true);
    let (record, behind) = ring.record(place).expect("it has ended");
    assert_eq!((record.bytes, record.partial), (&b"one, two"[..], true));
    assert_eq!(record.stamp, Stamp { sequence: 7, time: -1 });
    assert_eq!((ring.record(behind), behind.records), (None, 1));
    // One without a byte is one, too.
    push(&mut ring, "", 8, &mut age);
    assert_eq!(read(&ring, behind).0, [""]);
}

#[test]
fn one_whose_record_is_gone_goes_on_with_the_oldest_and_knows_how_many() {
    let (mut ring, mut age) = (Ring::new(4 << 10), 0);
    let (mut early, mut late) = (ring.oldest(), ring.oldest());
    for sequence in 0..1000 {
        push(&mut ring, &format!("{sequence:0>50}"), sequence, &mut age);
        while ring.is_over() {
            ring.drop_oldest();
        }
        assert!(ring.bytes() <= 4 << 10);
        if sequence == 500 {
            assert!(ring.catch_up(&mut late) > 0);
            late = read(&ring, late).1;
        }
    }
    let (all, gone) = ring.records();
    assert_eq!(all, 1000);
    assert_eq!(ring.last_gone().map(|stamp| stamp.sequence), Some(gone - 1));
    assert_eq!(ring.catch_up(&mut early), gone);
    assert_eq!(ring.catch_up(&mut late), gone - 501);
    assert_eq!(read(&ring, early), read(&ring, late));
    let first = format!("{gone:0>50}");
    assert_eq!((read(&ring, early).0.len() as u64, &read(&ring, early).0[0]), (1000 - gone, &first));
    assert_eq!(ring.catch_up(&mut early), 0);
}

#[test]
fn a_ring_that_was_emptied_goes_on() {
    let (mut ring, mut age) = (Ring::new(4 << 10), 0);
    push(&mut ring, "read", 1, &mut age);
    let (_, mut reader) = read(&ring, ring.oldest());
    let mut other = Place::default();
    assert!(ring.needs_oldest(&other) && !ring.needs_oldest(&reader));
    assert!(ring.drop_oldest() > 0);
    assert_eq!((ring.bytes(), ring.blocks(), ring.age()), (0, 0, None));
    push(&mut ring, "next", 2, &mut age);
    assert_eq!((ring.catch_up(&mut reader), ring.catch_up(&mut other)), (0, 1));
    assert_eq!(read(&ring, reader).0, ["next"]);
    assert_eq!(read(&ring, other).0, ["next"]);
    assert_eq!(ring.drop_oldest() + ring.drop_oldest(), FIRST_BYTES, "and then there is nothing");
}

/// An output that says little costs little.
#[test]
fn a_line_takes_little() {
    let (mut ring, mut age) = (Ring::new(64 << 10), 0);
    push(&mut ring, "started", 1, &mut age);
    assert!(ring.bytes() <= FIRST_BYTES);
}
