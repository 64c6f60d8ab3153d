//! Tests of the accounts: numbers, refusals, bytes kept.

use super::*;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\n\
    a998:x:998:996::/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nusers:x:100:\na996:x:996:\n";
const SHADOW: &str = "root:*:19000:0:99999:7:::\n";
const GSHADOW: &str = "root:::\nusers:::\n";

fn accounts() -> Accounts {
    Accounts::parse(
        PASSWD.as_bytes(),
        GROUP.as_bytes(),
        Some(SHADOW.as_bytes()),
        Some(GSHADOW.as_bytes()),
    )
    .with_shadow_day(Some(20000))
}

fn system(name: &str, group: Primary) -> NewUser {
    NewUser {
        uid: None,
        group,
        range: Range::System,
        ..NewUser::regular(name, 0)
    }
}

fn added(before: &str, after: &[u8]) -> String {
    String::from_utf8_lossy(after)
        .strip_prefix(before)
        .expect("lines that were there stay")
        .to_owned()
}

#[test]
fn the_user_of_a_recipe_gets_four_lines() {
    let mut accounts = accounts();
    let user = NewUser::regular("appuser", 1000);
    assert_eq!(accounts.add_user(&user), Ok(1000));
    assert!(accounts.changed());
    let files = accounts.files();
    assert_eq!(
        added(PASSWD, &files.passwd),
        "appuser:x:1000:1000::/home/appuser:/bin/bash\n"
    );
    assert_eq!(added(GROUP, &files.group), "appuser:x:1000:\n");
    assert_eq!(
        added(SHADOW, &files.shadow.expect("given")),
        "appuser:!!:20000:0:99999:7:::\n"
    );
    assert_eq!(
        added(GSHADOW, &files.gshadow.expect("given")),
        "appuser:!::\n"
    );
    assert_eq!(accounts.user("appuser").map(|user| user.gid), Some(1000));
}

#[test]
fn an_account_that_is_there_is_left_as_it_is() {
    let mut accounts = accounts();
    assert_eq!(accounts.add_user(&NewUser::regular("bin", 1)), Ok(1));
    assert_eq!(
        accounts.add_group("users", Some(100), Range::System, Tool::Useradd),
        Ok(100)
    );
    assert!(!accounts.changed());
}

#[test]
fn numbers_are_chosen_as_useradd_chooses_them() {
    let mut accounts = accounts();
    let group =
        |accounts: &mut Accounts, name, range| accounts.add_group(name, None, range, Tool::Useradd);
    assert_eq!(group(&mut accounts, "g1", Range::System), Ok(995));
    assert_eq!(group(&mut accounts, "g2", Range::Regular), Ok(1000));
    // The own group takes the user's number, as it is free among groups.
    assert_eq!(accounts.add_user(&system("u1", Primary::Own)), Ok(997));
    assert_eq!(accounts.gid("u1"), Some(997));
    let named = system("u2", Primary::Named("g1".to_owned()));
    assert_eq!(accounts.add_user(&named), Ok(996));
    assert_eq!(accounts.user("u2").map(|user| user.gid), Some(995));
}

#[test]
fn a_range_that_is_full_at_its_end_is_searched_for_gaps() {
    let full = Accounts::parse(b"a:x:201:1\nb:x:998:1\n", b"", None, None);
    let mut accounts = full.clone();
    assert_eq!(accounts.add_user(&system("c", Primary::Own)), Ok(999));
    let mut accounts = full.with_login_defs(LoginDefs::parse(b"SYS_UID_MAX 201\n"));
    assert_eq!(
        accounts.add_user(&system("c", Primary::Own)),
        Err(AccountsError::Full {
            name: "c".to_owned(),
            min: 201,
            max: 201
        })
    );
}

#[test]
fn conflicts_name_both_sides_and_change_nothing() {
    let start = accounts();
    let user = |name, uid| NewUser::regular(name, uid);
    for (new, wanted) in [
        (
            user("x", 998),
            "user `x`: uid 998 is already that of `a998`",
        ),
        (
            user("bin", 7),
            "user `bin`: wanted uid 7, but it already has uid 1",
        ),
        (
            user("x", 996),
            "group `x`: gid 996 is already that of `a996`",
        ),
        (
            user("users", 5000),
            "group `users`: wanted gid 5000, but it already has gid 100",
        ),
        (
            system("x", Primary::Named("nope".to_owned())),
            "user `x`: there is no group `nope`",
        ),
        (
            NewUser {
                supplementary: vec!["users".to_owned(), "nope".to_owned()],
                ..user("x", 5000)
            },
            "user `x`: there is no group `nope`",
        ),
    ] {
        let mut accounts = start.clone();
        let error = accounts.add_user(&new).expect_err(wanted);
        assert_eq!(error.to_string(), wanted);
        assert_eq!(accounts, start);
    }
}

#[test]
fn names_and_fields_cannot_break_out() {
    let long = "a".repeat(33);
    for name in [
        "", "-a", "a:b", "a\nb", "1234", ".", "..", "a b", "é", "$", &long,
    ] {
        let mut accounts = accounts();
        assert!(
            accounts.add_user(&NewUser::regular(name, 2000)).is_err(),
            "{name:?}"
        );
        assert!(
            accounts
                .add_group(name, None, Range::System, Tool::Useradd)
                .is_err(),
            "{name:?}"
        );
    }
    let good = NewUser::regular("ok", 2000);
    for bad in [
        NewUser {
            home: "/a:b".to_owned(),
            ..good.clone()
        },
        NewUser {
            home: "relative".to_owned(),
            ..good.clone()
        },
        NewUser {
            shell: "/bin/sh\nroot::0:0".to_owned(),
            ..good.clone()
        },
        NewUser {
            gecos: "a:b".to_owned(),
            ..good.clone()
        },
    ] {
        assert!(matches!(
            accounts().add_user(&bad),
            Err(AccountsError::Field { .. })
        ));
    }
}

#[test]
fn members_are_added_once_and_to_both_files() {
    let mut accounts = accounts();
    for _ in 0..2 {
        accounts.add_member("bin", "users").expect("both exist");
        accounts.add_member("root", "users").expect("both exist");
    }
    let files = accounts.files();
    assert!(String::from_utf8_lossy(&files.group).contains("users:x:100:bin,root\n"));
    assert!(String::from_utf8_lossy(&files.gshadow.expect("given")).contains("users:::bin,root\n"));
    assert!(accounts.add_member("nope", "users").is_err());
    assert!(accounts.add_member("bin", "nope").is_err());
}

#[test]
fn what_is_not_an_account_is_kept() {
    for text in [
        &b"\xff\xfe not a line\n\nroot:x:0:0"[..],
        b"",
        b"\n",
        b"\n\n",
        b"a:b",
        b"+::::::\n",
        b"x:y:99999999999:1\n",
    ] {
        let accounts = Accounts::parse(text, text, Some(text), Some(text));
        let files = accounts.files();
        assert_eq!(files.passwd, text);
        assert_eq!(files.group, text);
        assert_eq!(files.shadow.as_deref(), Some(text));
        assert_eq!(files.gshadow.as_deref(), Some(text));
    }
}

#[test]
fn new_lines_go_after_an_unfinished_one_and_before_those_of_nis() {
    let mut accounts = Accounts::parse(b"root:x:0:0:::", b"root:x:0:\n+:::\n", None, None);
    accounts
        .add_user(&NewUser::regular("app", 1000))
        .expect("free");
    let files = accounts.files();
    assert_eq!(
        files.passwd,
        b"root:x:0:0:::\napp:!!:1000:1000::/home/app:/bin/bash\n"
    );
    assert_eq!(files.group, b"root:x:0:\napp:x:1000:\n+:::\n");
}
