//! The verdict follows from level and failure, and says no more than was proven.

use super::*;

fn report(level: Option<Level>, required: Level, stopped: Option<Class>) -> Report {
    Report {
        level,
        stopped: stopped.map(|class| Stopped {
            class,
            message: "why".to_owned(),
            hint: None,
        }),
        ..Report::new("image".to_owned(), required)
    }
}

#[test]
fn only_what_is_the_same_bit_for_bit_is_called_verified() {
    use Level::{Content, Differs, Digest, Tree};
    for required in [Digest, Content, Tree] {
        for level in [Differs, Tree, Content, Digest] {
            let report = report(Some(level), required, None);
            let says = report.last_line().contains("verified");
            assert_eq!(says, level == Digest, "{}", report.last_line());
            let wanted = u8::from(level < required);
            assert_eq!(
                report.verdict().exit_code(),
                wanted,
                "{level:?} {required:?}"
            );
        }
    }
}

#[test]
fn what_stops_early_never_says_that_it_differs() {
    for (class, exit) in [
        (Class::No, 3),
        (Class::Usage, 2),
        (Class::Unavailable, 3),
        (Class::Integrity, 4),
        (Class::Format, 5),
    ] {
        for level in [None, Some(Level::Digest), Some(Level::Differs)] {
            let report = report(level, Level::Digest, Some(class));
            assert_eq!(report.verdict().exit_code(), exit);
            let line = report.last_line();
            assert!(
                !line.contains("verified") && !line.contains("differs"),
                "{line}"
            );
            assert!(line.ends_with(": why"), "{line}");
        }
    }
}

#[test]
fn what_a_record_says_does_not_reach_the_terminal_as_commands() {
    let mut report = report(None, Level::Digest, None);
    report.check(What::Recipe, true, "by imgbuild \u{1b}[2J\nverified: all");
    report.stop(Class::Unavailable, "a\u{7}", None);
    let text = [report.lines(), vec![report.last_line()]].concat();
    assert!(
        text.iter().all(|line| !line.contains(char::is_control)),
        "{text:?}"
    );
}

#[test]
fn without_an_answer_nothing_is_claimed() {
    let report = report(None, Level::Tree, None);
    assert_eq!(report.verdict(), Verdict::CouldNotVerify);
    assert_eq!(report.json(None)["verdict"], "could-not-verify");
}
