//! Commands that ask for and make users and groups, with literal arguments only.

use super::super::effect::{Condition, Effect};
use super::Unrecognised;
use super::commands::{Call, Ran};
use super::outcome::{Done, Status};
use crate::accounts::{NewUser, Primary, Range, Tool};

/// `getent passwd|group NAME`, `id [-u|-g] NAME`: nothing but a question.
pub(super) fn ask(call: &Call<'_>) -> Result<Ran, Unrecognised> {
    let words = call.literals()?;
    let number = |key: &str| key.parse::<u32>().ok();
    let condition = match (call.name, words.as_slice()) {
        ("getent", ["passwd", key]) => match number(key) {
            Some(uid) => Condition::Uid(uid),
            None => Condition::User((*key).to_owned()),
        },
        ("getent", ["group", key]) => match number(key) {
            Some(gid) => Condition::Gid(gid),
            None => Condition::Group((*key).to_owned()),
        },
        ("id", [name] | ["-u" | "-g" | "-un" | "-gn", name]) if !name.starts_with('-') => {
            Condition::User((*name).to_owned())
        }
        _ => return Err(Unrecognised::Command(call.text.clone())),
    };
    Ok(Done::of(Status::If(condition)).into())
}

/// Options as getopt(3) reads them: `-g 5`, `-g5`, `-rg 5`, `--gid 5`, `--gid=5`.
struct Options<'a> {
    /// Short name and value; flags have an empty one.
    found: Vec<(char, String)>,
    operands: Vec<&'a str>,
}

/// The options of a tool: short name, long name, whether a value follows.
type Known = [(char, &'static str, bool)];

fn options<'a>(call: &'a Call<'_>, known: &Known) -> Result<Options<'a>, Unrecognised> {
    let words = call.literals()?;
    let mut words = words.into_iter();
    let mut options = Options {
        found: Vec::new(),
        operands: Vec::new(),
    };
    while let Some(word) = words.next() {
        if word == "--" {
            options.operands.extend(words.by_ref());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, given) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let &(short, _, takes) = known
                .iter()
                .find(|(_, long, _)| *long == name)
                .ok_or_else(|| call.refuse(word))?;
            let value = match (takes, given) {
                (true, Some(value)) => value,
                (true, None) => words.next().ok_or_else(|| call.refuse(word))?,
                (false, None) => "",
                (false, Some(_)) => return Err(call.refuse(word)),
            };
            options.found.push((short, value.to_owned()));
        } else if word.len() > 1 && word.starts_with('-') {
            for (at, letter) in word[1..].char_indices() {
                let &(short, _, takes) = known
                    .iter()
                    .find(|(short, ..)| *short == letter)
                    .ok_or_else(|| call.refuse(word))?;
                if !takes {
                    options.found.push((short, String::new()));
                    continue;
                }
                let glued = &word[1 + at + letter.len_utf8()..];
                let value = if glued.is_empty() {
                    words.next().ok_or_else(|| call.refuse(word))?
                } else {
                    glued
                };
                options.found.push((short, value.to_owned()));
                break;
            }
        } else {
            options.operands.push(word);
        }
    }
    Ok(options)
}

fn number(call: &Call<'_>, text: &str) -> Result<u32, Unrecognised> {
    text.parse().map_err(|_| call.refuse(text))
}

/// groupadd(8)
pub(super) fn groupadd(call: &Call<'_>) -> Result<Done, Unrecognised> {
    let known = [
        ('f', "force", false),
        ('g', "gid", true),
        ('r', "system", false),
    ];
    let options = options(call, &known)?;
    let [name] = options.operands.as_slice() else {
        return Err(call.refuse("not one name"));
    };
    let (mut gid, mut range, mut force) = (None, Range::Regular, false);
    for (option, value) in &options.found {
        match option {
            'g' => gid = Some(number(call, value)?),
            'r' => range = Range::System,
            _ => force = true,
        }
    }
    Ok(Done::effect(Effect::AddGroup {
        name: (*name).to_owned(),
        gid,
        range,
        force,
    }))
}

/// useradd(8)
pub(super) fn useradd(call: &Call<'_>) -> Result<Done, Unrecognised> {
    let known = [
        ('c', "comment", true),
        ('d', "home-dir", true),
        ('d', "home", true),
        ('g', "gid", true),
        ('G', "groups", true),
        ('l', "no-log-init", false),
        ('M', "no-create-home", false),
        ('N', "no-user-group", false),
        ('r', "system", false),
        ('s', "shell", true),
        ('u', "uid", true),
        ('U', "user-group", false),
    ];
    let options = options(call, &known)?;
    let [name] = options.operands.as_slice() else {
        return Err(call.refuse("not one name"));
    };
    let mut user = NewUser {
        uid: None,
        group: Primary::Own,
        tool: Tool::Useradd,
        ..NewUser::regular(name, 0)
    };
    let mut makes_home = true;
    for (option, value) in options.found {
        match option {
            'c' => user.gecos = value,
            'd' => user.home = value,
            'g' => {
                user.group = match value.parse() {
                    Ok(gid) => Primary::Numbered(gid),
                    Err(_) => Primary::Named(value),
                }
            }
            'G' => user.supplementary = value.split(',').map(str::to_owned).collect(),
            'M' => makes_home = false,
            // `GROUP` of the Fedora family's /etc/default/useradd.
            'N' => user.group = Primary::Numbered(100),
            'r' => (user.range, makes_home) = (Range::System, false),
            's' => user.shell = value,
            'u' => user.uid = Some(number(call, &value)?),
            _ => {}
        }
    }
    // login.defs says CREATE_HOME yes: such a home is filled from /etc/skel, which nothing here does.
    if makes_home {
        return Err(call.refuse("a home to make"));
    }
    Ok(Done::effect(Effect::AddUser(user)))
}

/// usermod(8), to join groups.
pub(super) fn usermod(call: &Call<'_>) -> Result<Done, Unrecognised> {
    let options = options(call, &[('a', "append", false), ('G', "groups", true)])?;
    let appends = options.found.iter().any(|(option, _)| *option == 'a');
    let groups = options.found.iter().find(|(option, _)| *option == 'G');
    match (options.operands.as_slice(), groups) {
        ([user], Some((_, groups))) if appends => Ok(Done {
            effects: groups
                .split(',')
                .map(|group| Effect::AddMember {
                    user: (*user).to_owned(),
                    group: group.to_owned(),
                })
                .collect(),
            ..Done::of(Status::Assumed)
        }),
        _ => Err(call.refuse("anything but `-aG`")),
    }
}

/// gpasswd(1), to add a member.
pub(super) fn gpasswd(call: &Call<'_>) -> Result<Done, Unrecognised> {
    let options = options(call, &[('a', "add", true)])?;
    match (options.found.as_slice(), options.operands.as_slice()) {
        ([(_, user)], [group]) => Ok(Done::effect(Effect::AddMember {
            user: user.clone(),
            group: (*group).to_owned(),
        })),
        _ => Err(call.refuse("anything but `-a`")),
    }
}
