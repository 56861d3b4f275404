use super::*;
use crate::limits::LINE_BYTES_MAX;
use event_listener::Listener;
use std::time::Duration;

/// What a reader got, as numbers: of items, of those said to be missing, and the sequence of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Got {
    items: u64,
    dropped: u64,
    last: u64,
}

impl Got {
    fn take(&mut self, item: Item<'_>) {
        assert!(item.sequence > self.last, "{} after {}", item.sequence, self.last);
        self.items += 1;
        self.dropped += item.dropped;
        self.last = item.sequence;
    }
}

fn logs() -> Arc<Logs> {
    Logs::new(1 << 20)
}

fn feed(blocks: bool) -> Arc<Feed> {
    Feed::new(&logs(), 4 << 10, blocks)
}

fn follow(feed: &Arc<Feed>, want: Want, range: Range) -> Follower {
    feed.follow(want, range).expect("it is there")
}

fn all(feed: &Arc<Feed>) -> Follower {
    follow(feed, Want::Both, Range::default())
}

/// All that is there, as text with what was dropped before it.
fn texts(follower: &mut Follower) -> Vec<(String, u64)> {
    let mut texts = Vec::new();
    follower.read(|item| {
        texts.push((String::from_utf8_lossy(item.bytes).into_owned(), item.dropped));
        ControlFlow::Continue(())
    });
    texts
}

fn lines(follower: &mut Follower) -> Vec<String> {
    texts(follower).into_iter().map(|(line, _)| line).collect()
}

fn drain(follower: &mut Follower) -> Got {
    let mut got = Got::default();
    follower.read(|item| {
        got.take(item);
        ControlFlow::Continue(())
    });
    got
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<u8> {
    numbers.flat_map(|number| format!("{number:0>99}\n").into_bytes()).collect()
}

fn next(feed: &Feed) -> u64 {
    feed.with(|state| state.next).expect("it is there")
}

/// Items of one output that there have ever been.
fn written(feed: &Feed, channel: Channel) -> u64 {
    feed.with(|state| state.rings[channel as usize].records().0).expect("it is there")
}

#[test]
fn the_newest_are_so_many_as_asked_for() {
    let feed = feed(false);
    feed.write(Channel::Stdout, b"1\n2\n");
    feed.write(Channel::Stderr, b"3\n4\n");
    feed.write(Channel::Stdout, b"5\n");
    let tail = |want, tail| lines(&mut follow(&feed, want, Range { tail: Some(tail), ..Range::default() }));
    let none: [&str; 0] = [];
    assert_eq!(tail(Want::Both, 0), none);
    assert_eq!(tail(Want::Both, 1), ["5"]);
    assert_eq!(tail(Want::Both, 2), ["4", "5"]);
    assert_eq!(tail(Want::Both, 4), ["2", "3", "4", "5"]);
    assert_eq!(tail(Want::Both, 9), ["1", "2", "3", "4", "5"]);
    assert_eq!(tail(Want::Only(Channel::Stderr), 1), ["4"]);
}

#[test]
fn what_is_missing_of_the_other_output_is_not_counted() {
    let feed = feed(false);
    feed.write(Channel::Stderr, b"first\n");
    for channel in Channel::BOTH {
        feed.write(channel, &numbered(0..1000));
    }
    for channel in Channel::BOTH {
        let got = drain(&mut follow(&feed, Want::Only(channel), Range::default()));
        assert!(got.dropped > 0);
        assert_eq!(got.items + got.dropped, written(&feed, channel), "{channel:?}");
    }
    let got = drain(&mut all(&feed));
    assert_eq!(got.items + got.dropped, 2001);
}

#[test]
fn what_is_missing_since_then_is_counted_whatever_the_other_output_holds() {
    let feed = feed(false);
    feed.write(Channel::Stderr, b"old\n");
    std::thread::sleep(Duration::from_millis(2));
    let since = Some(unix_ns());
    feed.write(Channel::Stdout, &numbered(0..1000));
    let range = Range { since, ..Range::default() };
    let got = drain(&mut follow(&feed, Want::Both, range));
    assert_eq!(got.items + got.dropped, 1000);
    let none = Range { since: Some(i64::MAX), ..Range::default() };
    assert_eq!(drain(&mut follow(&feed, Want::Both, none)), Got::default());
}

#[test]
fn a_resumed_reader_gets_each_once_and_is_told_what_is_gone() {
    let feed = feed(false);
    let first = next(&feed);
    feed.write(Channel::Stdout, b"1\n2\n3\n");
    let resume = |from| feed.follow(Want::Both, Range { from: Some(from), ..Range::default() });
    assert_eq!(lines(&mut resume(first + 1).expect("it is there")), ["2", "3"]);
    assert_eq!(lines(&mut resume(0).expect("older than all")), ["1", "2", "3"]);
    let mut ahead = resume(first + 3).expect("the next");
    assert!(lines(&mut ahead).is_empty());
    let refused = resume(first + 4).map(drop);
    assert_eq!(refused, Err(NoSuchSequence { asked: first + 4, next: first + 3 }));
    feed.write(Channel::Stdout, &numbered(0..1000));
    let got = drain(&mut resume(first + 2).expect("gone"));
    assert_eq!((got.items + got.dropped, got.last), (1001, first + 1002));
    assert_eq!(drain(&mut ahead).last, first + 1002);
}

/// Outputs of which one has lost more than the other: each gap is told where it is, and once.
#[test]
fn a_reader_of_both_outputs_is_told_of_each_gap_where_it_is() {
    let feed = feed(false);
    let first = next(&feed);
    let mut follower = all(&feed);
    let mut expected = first;
    for number in 0..2000 {
        feed.write(Channel::Stdout, &numbered(number..number + 3));
        feed.write(Channel::Stderr, b"now and then\n");
        if number % 400 == 399 {
            // Taken up again each time, in the middle of what is there.
            let mut left = 50;
            follower.read(|item| {
                assert_eq!(item.sequence, expected + item.dropped);
                expected = item.sequence + 1;
                left -= 1;
                if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            follower = follow(&feed, Want::Both, Range { from: Some(expected), ..Range::default() });
        }
    }
    assert!(expected > first + 50);
}

#[test]
fn without_following_it_ends_with_what_was_there() {
    let feed = feed(false);
    feed.write(Channel::Stdout, b"1\n2\nope");
    let mut follower = follow(&feed, Want::Both, Range { no_follow: true, ..Range::default() });
    feed.write(Channel::Stdout, b"n\n3\n");
    assert_eq!(lines(&mut follower), ["1", "2"]);
    assert_eq!(follower.read(|_| ControlFlow::Continue(())), Progress::Ended);
}

/// The last items have none behind them that could say so.
#[test]
fn what_is_missing_at_the_end_is_told_there() {
    let feed = feed(false);
    feed.write(Channel::Stdout, &numbered(0..10));
    let mut follower = follow(&feed, Want::Both, Range { no_follow: true, ..Range::default() });
    feed.write(Channel::Stderr, &numbered(0..1000));
    assert_eq!(drain(&mut follower).items, 10, "what comes later is not asked for");
    let mut follower =
        follow(&feed, Want::Only(Channel::Stdout), Range { no_follow: true, ..Range::default() });
    feed.write(Channel::Stdout, &numbered(0..1000));
    for _ in 0..2 {
        assert_eq!(follower.read(|item| panic!("{item:?} came later")), Progress::Lost(10));
    }
    let mut newest = follow(&feed, Want::Only(Channel::Stdout), Range { tail: Some(0), ..Range::default() });
    assert_eq!(newest.read(|item| panic!("{item:?} was not asked for")), Progress::Drained);
    let stdout = |tail| follow(&feed, Want::Only(Channel::Stdout), Range { tail, ..Range::default() });
    let held = drain(&mut stdout(None)).items;
    let mut newest = stdout(Some(u32::try_from(held).expect("small") + 7));
    assert_eq!(drain(&mut newest).dropped, 7, "of those that were asked for");
}

/// An output that waits is not forgotten because the other one goes on.
#[test]
fn each_output_that_waits_is_told_of_room() {
    let feed = feed(true);
    let mut follower = all(&feed);
    let taken = feed.write(Channel::Stdout, &numbered(0..1000));
    assert!(taken < 100_000, "it waits");
    assert_eq!(feed.write(Channel::Stderr, b"free\n"), 5);
    let room = feed.room();
    drain(&mut follower);
    assert!(room.wait_timeout(Duration::from_secs(60)).is_some(), "nobody told the writer");
}

#[test]
fn the_slowest_reader_counts_until_it_leaves() {
    let feed = feed(true);
    let mut fast = all(&feed);
    let slow = all(&feed);
    let errors = follow(&feed, Want::Only(Channel::Stderr), Range::default());
    let output = numbered(0..1000);
    let mut taken = 0;
    let mut step = |fast: &mut Follower| {
        let now = feed.write(Channel::Stdout, &output[taken..]);
        taken += now;
        drain(fast);
        now
    };
    while step(&mut fast) > 0 {}
    let room = feed.room();
    drop(slow);
    assert!(room.wait_timeout(Duration::from_secs(60)).is_some(), "nobody told the writer");
    while step(&mut fast) > 0 {}
    assert_eq!(taken, output.len(), "who reads the other output only is not waited for");
    drop(errors);
}

/// Else one who stalls would take the budget from all, and what they write would make way before anybody saw it.
#[test]
fn who_is_waited_for_keeps_no_more_than_half_of_the_budget() {
    let logs = Logs::new(64 << 10);
    let (kept, other) = (Feed::new(&logs, 1 << 20, true), Feed::new(&logs, 16 << 10, false));
    let _stalled = all(&kept);
    let output = numbered(0..2000);
    let taken = kept.write(Channel::Stdout, &output);
    assert!(taken < output.len() && logs.bytes() <= (32 << 10) + (16 << 10), "{taken}: {}", logs.bytes());
    let mut reader = all(&other);
    for number in 0..100 {
        other.write(Channel::Stdout, &numbered(number..number + 1));
        assert_eq!(lines(&mut reader).len(), 1, "line {number} is seen");
    }
}

#[test]
fn nobody_waits_for_those_who_only_want_what_is_there() {
    let feed = feed(true);
    feed.write(Channel::Stdout, &numbered(0..10));
    let _stalled = follow(&feed, Want::Both, Range { no_follow: true, ..Range::default() });
    let output = numbered(10..1000);
    assert_eq!(feed.write(Channel::Stdout, &output), output.len());
}

#[test]
fn sequences_of_what_comes_later_are_larger_however_much_was_written() {
    let logs = logs();
    let first = Feed::new(&logs, 4 << 10, false);
    let begun = next(&first);
    // More than microseconds have passed.
    let lines = vec![b'\n'; 1 << 20];
    (0..4).for_each(|_| assert_eq!(first.write(Channel::Stdout, &lines), lines.len()));
    let last = next(&first);
    assert_eq!(last - begun, 4 << 20);
    drop(first);
    assert!(next(&Feed::new(&logs, 4 << 10, false)) >= last);
}

/// To find a place takes as long as there are blocks, not records: it happens under the lock of all.
#[test]
fn a_place_is_found_in_a_large_ring_as_by_counting() {
    let feed = Feed::new(&Logs::new(4 << 20), 1 << 20, false);
    for number in 0..10_000 {
        let channel = if number % 7 == 0 { Channel::Stderr } else { Channel::Stdout };
        feed.write(channel, &numbered(number..number + 1));
    }
    for want in [Want::Both, Want::Only(Channel::Stdout), Want::Only(Channel::Stderr)] {
        let held = lines(&mut follow(&feed, want, Range::default()));
        for tail in [0, 1, 2, 70, 71, 1000, held.len() as u32, u32::MAX] {
            let newest = lines(&mut follow(&feed, want, Range { tail: Some(tail), ..Range::default() }));
            let skipped = held.len().saturating_sub(tail as usize);
            assert_eq!(newest, held[skipped..], "{want:?}, the last {tail}");
        }
        for back in [0, 1, 500, 5000] {
            let from = Some(next(&feed) - back);
            let resumed = follow(&feed, want, Range { from, ..Range::default() });
            let count = lines(&mut { resumed }).len() as u64;
            let share = match want {
                Want::Both => back,
                Want::Only(Channel::Stderr) => {
                    (10_000 - back..10_000).filter(|number| number % 7 == 0).count() as u64
                }
                Want::Only(Channel::Stdout) => {
                    (10_000 - back..10_000).filter(|number| number % 7 != 0).count() as u64
                }
            };
            assert_eq!(count, share, "{want:?}, from {back} before the next");
        }
    }
}

#[test]
fn a_line_that_has_not_ended_makes_way_as_one_that_is_counted() {
    let logs = Logs::new(1 << 10);
    let (old, new) = (Feed::new(&logs, 64 << 10, false), Feed::new(&logs, 64 << 10, false));
    let mut follower = all(&old);
    old.write(Channel::Stdout, b"begun, ");
    new.write(Channel::Stdout, &numbered(0..1000));
    old.write(Channel::Stdout, b"ended\n");
    assert_eq!(texts(&mut follower), [("ended".to_owned(), 1)]);
}

#[test]
fn what_is_held_goes_back_with_its_feed() {
    let logs = Logs::new(8 << 10);
    let feeds: Vec<_> = (0..50).map(|_| Feed::new(&logs, 64 << 10, false)).collect();
    for feed in &feeds {
        feed.write(Channel::Stdout, &numbered(0..40));
        assert!(logs.bytes() <= 8 << 10, "{}", logs.bytes());
    }
    feeds[0].end();
    assert_eq!(
        all(&feeds[0]).read(|item| panic!("{item:?} is held, the oldest makes way first")),
        Progress::Lost(40)
    );
    let newest = drain(&mut all(&feeds[49]));
    assert!(newest.items > 0 && newest.items + newest.dropped == 40, "{newest:?}");
    drop(feeds);
    assert_eq!(logs.bytes(), 0);
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.roll(of.len() as u64)).expect("it is small")]
    }

    fn output(&mut self) -> Vec<u8> {
        let mut output = Vec::new();
        for _ in 0..self.roll(30) {
            let length = self.pick(&[0, 1, 30, 30, 100, 100, 3000, LINE_BYTES_MAX + 10]);
            output.extend(std::iter::repeat_n(b'x', length));
            output.extend((self.roll(20) > 0).then_some(b'\n'));
        }
        output
    }
}

/// A reader, and what it has got.
struct Side {
    follower: Follower,
    want: Want,
    got: Got,
    /// Items of the outputs wanted that were gone already when it came.
    start: u64,
}

impl Side {
    fn new(feed: &Arc<Feed>, want: Want) -> Self {
        let gone = |state: &mut State| {
            want.channels().map(|channel| state.rings[channel as usize].records().1).sum()
        };
        // In this order: what it is to read stays from now on, where it is waited for.
        let follower = follow(feed, want, Range::default());
        let start = feed.with(|state| gone(state)).expect("it is there");
        Self { follower, want, got: Got::default(), start }
    }

    fn read(&mut self, most: u64) -> Progress {
        let (got, mut left) = (&mut self.got, most);
        self.follower.read(|item| {
            got.take(item);
            left = left.saturating_sub(1);
            if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }
}

/// Several feeds of each kind, read and written in any order: nothing is lost without a word, the order stays, who is waited
/// for loses nothing, and all together stay within their budget.
#[test]
fn whatever_happens_what_was_received_and_what_was_dropped_is_what_was_written() {
    const BUDGET: usize = 64 << 10;
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let logs = Logs::new(BUDGET);
        let blocking = seed % 2 == 1;
        let feeds: Vec<_> =
            (0..5).map(|_| Feed::new(&logs, dice.pick(&[4 << 10, 64 << 10]), blocking)).collect();
        feeds.iter().for_each(|feed| feed.add_writer());
        let mut readers: Vec<Side> = Vec::new();
        for _ in 0..400 {
            let feed = dice.pick(&[0, 1, 2, 3, 4]);
            match dice.roll(8) {
                0 if readers.len() < 20 => {
                    let want =
                        dice.pick(&[Want::Both, Want::Only(Channel::Stdout), Want::Only(Channel::Stderr)]);
                    readers.push(Side::new(&feeds[feed], want));
                }
                1..=3 if !readers.is_empty() => {
                    let reader = usize::try_from(dice.roll(readers.len() as u64)).expect("small");
                    readers[reader].read(1 + dice.roll(50));
                }
                _ => {
                    let output = dice.output();
                    let taken = feeds[feed].write(dice.pick(&Channel::BOTH), &output);
                    assert!(blocking || taken == output.len(), "nobody is waited for");
                }
            }
            assert!(blocking || logs.bytes() <= BUDGET, "{} bytes are held", logs.bytes());
        }
        for feed in &feeds {
            Channel::BOTH.into_iter().for_each(|channel| feed.end_line(channel));
            feed.writer_gone();
            feed.end();
        }
        for mut reader in readers {
            let lost = match reader.read(u64::MAX) {
                Progress::Ended => 0,
                Progress::Lost(items) => items,
                progress => panic!("{progress:?}"),
            };
            let feed = Arc::clone(reader.follower.feed());
            let all: u64 = reader.want.channels().map(|channel| written(&feed, channel)).sum();
            let Got { items, dropped, .. } = reader.got;
            assert_eq!(items + dropped + lost, all, "seed {seed}, {:?}", reader.want);
            // Before it came, some may have made way.
            assert!(
                !blocking || dropped + lost == reader.start,
                "seed {seed}: {dropped} {lost} {}",
                reader.start
            );
        }
    }
}
