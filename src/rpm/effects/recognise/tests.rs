//! Tests of the recogniser: what is known, what must not be taken for known.

use proptest::prelude::*;

use super::super::effect::{PathTest, Sysusers};
use super::*;
use crate::accounts::{NewUser, Primary, Range};

const INSTALL: Arguments = Arguments {
    first: 1,
    second: None,
    must_succeed: false,
};

fn known(text: &str) -> Recognised {
    recognise(text, INSTALL).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn effects(text: &str) -> Vec<Effect> {
    known(text).effects
}

fn group(name: &str) -> Effect {
    Effect::AddGroup {
        name: name.to_owned(),
        gid: None,
        range: Range::System,
        force: false,
    }
}

fn when(condition: Condition, then: Vec<Effect>) -> Effect {
    Effect::When {
        condition,
        then,
        otherwise: Vec::new(),
    }
}

fn executable(path: &str) -> Condition {
    Condition::Path(PathTest::Executable, path.to_owned())
}

#[test]
fn a_script_of_comments_and_nothing_does_nothing() {
    for text in [
        "",
        "\n\n# comment only\n",
        ":",
        "exit 0",
        "true || :",
        "echo hello >&2; exit 3",
        "if [ $1 -gt 1 ]; then anything at all; fi",
        "[ \"$1\" = 1 ] || anything",
        "if [ $1 -eq 0 ] ; then\n  foo\nelif [ $1 = 2 ]; then bar\nelse\n:\nfi",
        "exit 0\nwhatever follows",
        "{ :; }",
        "for i in a b; do echo $i; done",
    ] {
        assert_eq!(effects(text), [], "{text}");
    }
}

#[test]
fn what_does_nothing_in_an_image_says_why() {
    for text in [
        "systemctl daemon-reload >/dev/null 2>&1 || :",
        "if [ $1 -eq 1 ] && [ -x /usr/lib/systemd/systemd-update-helper ]; then \n # Initial\n \
         /usr/lib/systemd/systemd-update-helper install-system-units nginx.service || : \nfi",
        "/sbin/restorecon -R $SOMEWHERE || :",
        "/usr/bin/install-info /usr/share/info/x.info /usr/share/info/dir || :",
        "touch --no-create /usr/share/icons/hicolor &>/dev/null || :",
        "[ -x /usr/lib/systemd/systemd-sysctl ] && /usr/lib/systemd/systemd-sysctl x.conf || :",
        "[ -z \"$UNKNOWN\" ] && systemctl start x",
    ] {
        let known = known(text);
        assert_eq!(known.effects, [], "{text}");
        assert_eq!(known.reasons.len(), 1, "{text}");
    }
}

#[test]
fn users_and_groups_are_read_from_their_commands() {
    let text = "getent group nginx > /dev/null || groupadd -r nginx\n\
        getent passwd nginx > /dev/null || \\\n    useradd -r -d /var/lib/nginx -g nginx \\\n    \
        -s /sbin/nologin -c \"Nginx web server\" nginx\nexit 0";
    let user = NewUser {
        uid: None,
        group: Primary::Named("nginx".to_owned()),
        gecos: "Nginx web server".to_owned(),
        home: "/var/lib/nginx".to_owned(),
        shell: "/sbin/nologin".to_owned(),
        range: Range::System,
        ..NewUser::regular("nginx", 0)
    };
    assert_eq!(
        effects(text),
        [
            when(
                not(Condition::Group("nginx".to_owned())),
                vec![group("nginx")]
            ),
            when(
                not(Condition::User("nginx".to_owned())),
                vec![Effect::AddUser(user)]
            ),
        ]
    );
    assert_eq!(
        effects("/usr/sbin/groupadd -rfg59 tss || exit 1"),
        [Effect::AddGroup {
            name: "tss".to_owned(),
            gid: Some(59),
            range: Range::System,
            force: true,
        }]
    );
    assert_eq!(effects("groupadd --system --gid=59 tss").len(), 1);
    assert_eq!(effects("usermod -a -G a,b u; gpasswd -a u c").len(), 3);
}

#[test]
fn a_choice_that_the_image_makes_is_kept_as_one() {
    let text = "if ! getent passwd 'tss' >/dev/null; then\n if ! getent passwd '59' >/dev/null; then\n \
        useradd -r -u '59' -g 'tss' tss || :\n else\n useradd -r -g 'tss' tss || :\n fi\nfi \nexit 0";
    let found = effects(text);
    let [
        Effect::When {
            condition, then, ..
        },
    ] = found.as_slice()
    else {
        panic!("{found:?}");
    };
    assert_eq!(*condition, not(Condition::User("tss".to_owned())));
    assert!(matches!(
        then.as_slice(),
        [Effect::When { condition, then, otherwise }]
            if *condition == not(Condition::Uid(59)) && then.len() == 1 && otherwise.len() == 1
    ));
}

#[test]
fn an_exit_behind_a_condition_guards_the_rest() {
    assert_eq!(
        effects("[ -x /sbin/ldconfig ] || exit 0\nldconfig\n"),
        [Effect::When {
            condition: not(executable("/sbin/ldconfig")),
            then: vec![],
            otherwise: vec![Effect::Ldconfig],
        }]
    );
}

#[test]
fn a_chain_behind_one_condition_is_applied_together() {
    let user = "u".to_owned();
    let found = effects("! getent passwd u && useradd -r u && gpasswd -a u wheel");
    assert!(matches!(
        found.as_slice(),
        [Effect::When { condition, then, .. }]
            if *condition == not(Condition::User(user)) && then.len() == 2
    ));
}

#[test]
fn alternatives_are_read_with_their_followers() {
    let found = effects(
        "/usr/bin/rm -f /usr/bin/ld\n/usr/sbin/alternatives --install /usr/bin/ld ld \\\n  /usr/bin/ld.bfd 50 \
         --slave /usr/bin/x x /usr/bin/x.bfd --family f\nupdate-alternatives --remove a /b || :",
    );
    assert_eq!(found[0], Effect::Remove("/usr/bin/ld".to_owned()));
    let Effect::Alternative(alternative) = &found[1] else {
        panic!("{found:?}");
    };
    assert_eq!((alternative.priority, alternative.followers.len()), (50, 1));
    assert!(matches!(found[2], Effect::AlternativeRemoved { .. }));
}

#[test]
fn sysusers_are_read_from_files_and_here_documents() {
    assert_eq!(
        effects(
            "systemd-sysusers --replace=/usr/lib/sysusers.d/a.conf - <<SYSTEMD_INLINE_EOF >/dev/null || :\nu a - \"A b\"\nSYSTEMD_INLINE_EOF\n"
        ),
        [Effect::Sysusers(Sysusers::Lines(
            "u a - \"A b\"\n".to_owned()
        ))]
    );
    let file = "/usr/lib/sysusers.d/edge.conf";
    assert_eq!(
        effects(&format!(
            "[ -x /usr/bin/systemd-sysusers ] && /usr/bin/systemd-sysusers {file} || :"
        )),
        [when(
            executable("/usr/bin/systemd-sysusers"),
            vec![Effect::Sysusers(Sysusers::Files(vec![file.to_owned()]))]
        )]
    );
    assert_eq!(
        effects("systemd-sysusers"),
        [Effect::Sysusers(Sysusers::All)]
    );
}

#[test]
fn variables_and_loops_over_constants_are_followed() {
    assert_eq!(
        effects("NAME=app\nfor g in a b; do groupadd -r \"$NAME$g\"; done"),
        [group("appa"), group("appb")]
    );
    assert_eq!(
        effects("if [ -x /bin/zsh ]; then echo /bin/zsh >> /etc/shells; fi"),
        [when(
            executable("/bin/zsh"),
            vec![Effect::Shell("/bin/zsh".to_owned())]
        )]
    );
}

#[test]
fn scriptlets_as_macros_of_the_fedora_family_write_them_are_known() {
    for text in [
        // %systemd_post, old and new
        "if [ $1 -eq 1 ] ; then \n        # Initial installation \n        \
         systemctl --no-reload preset sshd.service sshd.socket &>/dev/null || : \nfi",
        " \nif [ $1 -eq 1 ] && [ -x \"/usr/lib/systemd/systemd-update-helper\" ]; then \n    \
         /usr/lib/systemd/systemd-update-helper install-system-units a.service || : \nfi",
        // %tmpfiles_create_package, %tmpfiles_create
        "systemd-tmpfiles --replace=/usr/lib/tmpfiles.d/x.conf --create - <<\"EOF\" || :\nd /run/x - - - -\nEOF",
        "[ -x /usr/bin/systemd-tmpfiles ] && /usr/bin/systemd-tmpfiles --create x.conf || :",
        // %sysusers_create_compat
        "getent group 'sshd' >/dev/null || groupadd -f -g '74' -r 'sshd' || :\n\
         if ! getent passwd 'sshd' >/dev/null; then\n    if ! getent passwd '74' >/dev/null; then\n      \
         useradd -r -u '74' -g 'sshd' -d '/usr/share/empty.sshd' -s '/sbin/nologin' -c 'Privilege-separated SSH' \
         'sshd' || :\n    else\n      useradd -r -g 'sshd' -d '/x' -s '/sbin/nologin' -c 'x' 'sshd' || :\n    fi\nfi",
        // Packaging guidelines, dynamic allocation
        "getent group GROUPNAME >/dev/null || groupadd -r GROUPNAME\n\
         getent passwd USERNAME >/dev/null || \\\n    useradd -r -g GROUPNAME -d HOMEDIR -s /sbin/nologin \\\n    \
         -c \"Useful comment\" USERNAME\nexit 0",
        "/usr/bin/getent group tcpdump >/dev/null || /usr/sbin/groupadd -g 72 -r tcpdump 2> /dev/null\nexit 0",
        // %ldconfig_post and old caches
        "/sbin/ldconfig >/dev/null 2>&1 || :",
        "/usr/bin/update-desktop-database &> /dev/null || :",
        "if [ $1 -eq 1 ]; then /usr/sbin/alternatives --install /usr/bin/mta mta /usr/sbin/x 60 \\\n\
         --slave /usr/bin/mailq mta-mailq /usr/bin/mailq.x \\\n --slave /usr/lib/sendmail mta-s /usr/lib/s.x; fi\n:",
        "if [ \"$1\" -ge \"1\" ] ; then /bin/systemctl try-restart x.service >/dev/null 2>&1 || :; fi",
        "udevadm control --reload\nudevadm trigger >/dev/null 2>&1 || :",
    ] {
        let _ = known(text);
    }
}

#[test]
fn anything_that_is_not_known_makes_the_whole_script_unknown() {
    for text in [
        "frobnicate",
        "udevadm hwdb --update || :",
        "groupadd -r x; frobnicate",
        "groupadd -r x || frobnicate",
        "getent group x || groupadd -r x || frobnicate",
        "true && frobnicate",
        "[ -x /a ] && frobnicate || :",
        "if [ -f /a ]; then :; else frobnicate; fi",
        "if groupadd -r x; then :; else frobnicate; fi",
        "/opt/evil/useradd -r x",
        "./ldconfig",
        "echo x > /etc/passwd",
        "echo x >> /etc/shells y",
        "echo relative >> /etc/shells",
        "echo `id`",
        "echo $(rm -rf /)",
        "echo \"$(rm -rf /)\"",
        "echo ${x:-$(id)}",
        "eval useradd -r x",
        "useradd -r $NAME",
        "useradd -r x*",
        "useradd -r {a,b}",
        "useradd x",
        "useradd -o -u 0 -r toor",
        "useradd -p secret -r x",
        "groupadd -r x & ",
        "id | sh",
        "getent passwd x | grep -v x && useradd -r y",
        "systemctl start x && groupadd -r x",
        "systemctl enable x",
        "if systemctl is-active x; then groupadd -r x; fi",
        "while :; do :; done",
        "case $1 in 1) :;; esac",
        "f() { :; }; f",
        "function f { :; }",
        "(cd /; :)",
        "[[ $1 == 1 ]]",
        "cat <<EOF\n$(id)\nEOF",
        "rm -rf /usr/bin/x",
        "rm -f /usr/bin/*",
        "rm -f /usr/../etc/passwd",
        "rm -f $X/etc",
        "ln -sf a b",
        "PATH=/evil ldconfig",
        "export PATH=/evil",
        ". /etc/profile",
        "source x",
        "exec useradd -r x",
        "ldconfig -r /x",
        "alternatives --install /usr/bin/x ../x /usr/bin/y 1",
        "alternatives --install /usr/bin/x x relative 1",
        "alternatives --install /usr/bin/x x /usr/bin/y high",
        "alternatives --set x /usr/bin/y",
        "if [ -f /a ]; then X=b; fi; groupadd -r \"x$X\"",
        "if :; then",
        "fi",
        "'unclosed",
        "\"unclosed $",
        "cat <<EOF\nnever closed",
        "for i in $LIST; do groupadd -r $i; done",
        ")",
        "a () :",
        "! ",
        "&& :",
        "useradd -r x || [ -f /a ] && groupadd -r y; }",
    ] {
        assert!(
            recognise(text, INSTALL).is_err(),
            "{text} was taken for known"
        );
    }
}

#[test]
fn a_script_that_refuses_the_installation_is_not_passed_over() {
    let pre = Arguments {
        must_succeed: true,
        ..INSTALL
    };
    for text in ["exit 1", "[ -f /a ] && exit 1\n:", "echo no; false"] {
        assert_eq!(recognise(text, pre), Err(Unrecognised::Refuses), "{text}");
    }
    for text in [
        "groupadd -r x || exit 1",
        "exit 0",
        "if [ $1 -gt 1 ]; then exit 1; fi",
    ] {
        assert!(recognise(text, pre).is_ok(), "{text}");
    }
}

#[test]
fn hostile_depth_and_loops_end() {
    let deep = "if :; then ".repeat(5000);
    assert!(recognise(&deep, INSTALL).is_err());
    let groups = "{ ".repeat(100_000);
    assert!(recognise(&groups, INSTALL).is_err());
    let bangs = "! ".repeat(50_000) + ":";
    assert!(recognise(&bangs, INSTALL).is_ok());
    let mut wide = ":".to_owned();
    for name in ["a", "b", "c", "d", "e", "f"] {
        wide = format!("for {name} in {}; do {wide}; done", "1 ".repeat(100));
    }
    assert!(recognise(&wide, INSTALL).is_err());
    let tests = format!("[ {} -f /a ]", "! ".repeat(10_000));
    assert!(recognise(&tests, INSTALL).is_ok());
    let chain = "[ -f /a ] && ".repeat(5000) + ":";
    let _ = recognise(&chain, INSTALL);
    let joined = format!("[ {} -f /a ]", "-f /a -a ".repeat(5000));
    let _ = recognise(&joined, INSTALL);
    let arms = format!(
        "if [ -f /a ]; then :; {} fi",
        "elif [ -f /b ]; then :; ".repeat(5000)
    );
    let _ = recognise(&arms, INSTALL);
    let exits = "[ -f /a ] || exit 0\n".repeat(5000);
    let _ = recognise(&exits, INSTALL);
}

proptest! {
    #[test]
    fn no_text_makes_the_recogniser_panic(text in ".{0,200}") {
        let _ = recognise(&text, INSTALL);
    }

    #[test]
    fn no_shell_like_text_makes_the_recogniser_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "if", "then", "fi", "else", "for", "i", "in", "do", "done", "{", "}", "[", "]", "-f", "/a", "!", "&&",
                "||", ";", "\n", "groupadd", "-r", "x", "getent", "group", "exit", "0", "$1", "\"", "'", "\\", "<<E",
                "E", ">", "2>&1", "/dev/null", "systemctl", "start", "A=b", "$A", "-eq", "1", "(", ")", "#", "-g", "é",
            ]),
            0..40,
        )
    ) {
        let _ = recognise(&words.join(" "), INSTALL);
    }
}
