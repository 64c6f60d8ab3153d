//! The conditions of test(1).

use super::super::effect::{Condition, PathTest};
use super::outcome::{Status, both, either};

/// Evaluates the arguments of `test`, or of `[` without its `]`.
pub(super) fn test(arguments: &[Option<String>]) -> Status {
    let mut parser = Parser {
        rest: arguments,
        depth: 0,
    };
    // POSIX decides short forms by their number of arguments, so that `[ "$x" = -f ]` is a comparison.
    let status = match arguments {
        [] => Some(Status::Certain(false)),
        [one] => Some(non_empty(one.as_deref())),
        // Longer than any scriptlet's, and each `-a` nests.
        _ if arguments.len() > 128 => None,
        _ => parser.either(),
    };
    match status {
        Some(status) if parser.rest.is_empty() || arguments.len() < 2 => status,
        _ => Status::Unsure,
    }
}

fn non_empty(word: Option<&str>) -> Status {
    word.map_or(Status::Unsure, |word| Status::Certain(!word.is_empty()))
}

struct Parser<'a> {
    rest: &'a [Option<String>],
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self, at: usize) -> Option<&str> {
        self.rest.get(at)?.as_deref()
    }

    fn take(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn either(&mut self) -> Option<Status> {
        let mut status = self.all()?;
        while self.peek(0) == Some("-o") {
            self.take(1);
            status = join(status, self.all()?, true);
        }
        Some(status)
    }

    fn all(&mut self) -> Option<Status> {
        let mut status = self.one()?;
        while self.peek(0) == Some("-a") {
            self.take(1);
            status = join(status, self.one()?, false);
        }
        Some(status)
    }

    fn one(&mut self) -> Option<Status> {
        if self.depth > 32 {
            return None;
        }
        if let Some(status) = self.binary() {
            return Some(status);
        }
        match self.peek(0) {
            Some("!") => {
                self.take(1);
                self.depth += 1;
                let status = self.one()?;
                self.depth -= 1;
                return Some(status.inverted());
            }
            Some("(") => {
                self.take(1);
                self.depth += 1;
                let status = self.either()?;
                self.depth -= 1;
                if self.peek(0) != Some(")") {
                    return None;
                }
                self.take(1);
                return Some(status);
            }
            _ => {}
        }
        let operator = self.peek(0)?.to_owned();
        let operand = self.rest.get(1)?.as_deref();
        let status = match operator.as_str() {
            "-n" => non_empty(operand),
            "-z" => non_empty(operand).inverted(),
            _ => {
                let test = match operator.as_str() {
                    "-e" | "-r" | "-w" => PathTest::Exists,
                    "-x" => PathTest::Executable,
                    "-f" => PathTest::File,
                    "-d" => PathTest::Dir,
                    "-L" | "-h" => PathTest::Symlink,
                    "-s" => PathTest::NotEmpty,
                    _ => return None,
                };
                match operand.filter(|path| path.starts_with('/')) {
                    Some(path) => Status::If(Condition::Path(test, path.to_owned())),
                    None => Status::Unsure,
                }
            }
        };
        self.take(2);
        Some(status)
    }

    fn binary(&mut self) -> Option<Status> {
        let operator = self.peek(1)?.to_owned();
        let (left, right) = (self.peek(0), self.rest.get(2)?.as_deref());
        let numbers = || -> Option<(i64, i64)> {
            Some((left?.trim().parse().ok()?, right?.trim().parse().ok()?))
        };
        let compare = |holds: fn(&i64, &i64) -> bool| {
            numbers().map_or(Status::Unsure, |(a, b)| Status::Certain(holds(&a, &b)))
        };
        let status = match operator.as_str() {
            "=" | "==" | "!=" => match (left, right) {
                (Some(a), Some(b)) => Status::Certain((a == b) == (operator != "!=")),
                _ => Status::Unsure,
            },
            "-eq" => compare(i64::eq),
            "-ne" => compare(i64::ne),
            "-gt" => compare(i64::gt),
            "-ge" => compare(i64::ge),
            "-lt" => compare(i64::lt),
            "-le" => compare(i64::le),
            _ => return None,
        };
        self.take(3);
        Some(status)
    }
}

/// Joins two statuses with `-a`, or with `-o` if `any`.
fn join(a: Status, b: Status, any: bool) -> Status {
    match (a, b) {
        (Status::Certain(yes), _) | (_, Status::Certain(yes)) if yes == any => Status::Certain(any),
        (Status::Certain(_), other) | (other, Status::Certain(_)) => other,
        (Status::If(a), Status::If(b)) => Status::If(if any { either(a, b) } else { both(a, b) }),
        _ => Status::Unsure,
    }
}
