//! Users and groups against useradd, groupadd and systemd-sysusers.

use std::path::Path;

use imgbuild::accounts::{Accounts, LoginDefs};
use imgbuild::oci::Digest;
use imgbuild::rpm::effects::recognise::Arguments;
use imgbuild::rpm::effects::scriptlets::judge;
use imgbuild::rpm::effects::{Kind, Scriptlet, SysusersFiles, apply_accounts};

use super::disk::tool;

const FILES: [&str; 4] = ["passwd", "group", "shadow", "gshadow"];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\n\
    nobody:x:65534:65534:Kernel Overflow User:/:/sbin/nologin\na998:x:998:996::/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nbin:x:1:\nusers:x:100:\nnobody:x:65534:\na996:x:996:\n";
const SHADOW: &str = "root:*:19000:0:99999:7:::\nbin:*:19000:0:99999:7:::\n";
const GSHADOW: &str = "root:::\nbin:::\nusers:::\n";
const DEFS: &str = "UID_MIN 1000\nUID_MAX 60000\nSYS_UID_MIN 201\nSYS_UID_MAX 999\nGID_MIN 1000\nGID_MAX 60000\n\
    SYS_GID_MIN 201\nSYS_GID_MAX 999\nCREATE_HOME yes\nUSERGROUPS_ENAB yes\nPASS_MAX_DAYS 99999\nPASS_MIN_DAYS 0\n\
    PASS_WARN_AGE 7\n";

fn start(root: &Path) {
    std::fs::create_dir_all(root.join("etc")).expect("a folder");
    for (name, text) in FILES.iter().zip([PASSWD, GROUP, SHADOW, GSHADOW]) {
        std::fs::write(root.join("etc").join(name), text).expect("a file");
    }
    std::fs::write(root.join("etc/login.defs"), DEFS).expect("a file");
}

fn accounts(day: u32) -> Accounts {
    let [passwd, group, shadow, gshadow] = [PASSWD, GROUP, SHADOW, GSHADOW].map(str::as_bytes);
    Accounts::parse(passwd, group, Some(shadow), Some(gshadow))
        .with_login_defs(LoginDefs::parse(DEFS.as_bytes()))
        .with_shadow_day(Some(day))
}

fn scriptlet(body: &str) -> Scriptlet {
    let arguments = Arguments {
        first: 1,
        second: None,
        must_succeed: true,
    };
    Scriptlet {
        package: "test-1-1.noarch".to_owned(),
        name: "test".to_owned(),
        kind: Kind::Pre,
        interpreter: "/bin/sh".to_owned(),
        body: body.to_owned(),
        digest: Digest::of(body.as_bytes()),
        woken_by: None,
        verdict: judge("/bin/sh", body, arguments),
    }
}

/// Compares the four files, the day of the last change and Debian's way to lock a password aside.
fn compare(root: &Path, ours: &Accounts) {
    let files = ours.files();
    let ours = [
        files.passwd,
        files.group,
        files.shadow.expect("given"),
        files.gshadow.expect("given"),
    ];
    for (name, ours) in FILES.iter().zip(ours) {
        let wanted = std::fs::read_to_string(root.join("etc").join(name)).expect("a file");
        let ours = String::from_utf8(ours).expect("text");
        if *name != "shadow" {
            assert_eq!(ours, wanted, "{name}");
            continue;
        }
        // Field 3 of the real file is today.
        let line = |line: &str| {
            let mut fields: Vec<&str> = line.split(':').collect();
            if fields[1] == "!!" {
                fields[1] = "!";
            }
            if fields[1] != "*" {
                fields[2] = "DAY";
            }
            fields.join(":")
        };
        let lines = |text: &str| text.lines().map(line).collect::<Vec<_>>();
        assert_eq!(lines(&ours), lines(&wanted), "{name}");
    }
}

#[test]
fn scriptlets_leave_the_accounts_that_the_real_tools_leave() {
    let commands = [
        "groupadd -r g1",
        "groupadd g2",
        "groupadd -f g1",
        "groupadd -f -g 996 g9",
        "useradd -r u1",
        "useradd -r -g g1 u2",
        "useradd -M u3",
        "useradd -M -u 500 u4",
        "useradd -M -u 1100 -G users,g2 -c 'A b' -s /bin/sh -d /x u5",
        "useradd -M -N u6",
        "useradd -r -u 777 -U u7",
        "useradd -r -g 100 u8",
        "useradd -r -d /var/lib/nginx -s /sbin/nologin -c \"Web server\" nginx",
        "usermod -a -G g1,users u3",
        "groupadd -r late",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    start(folder.path());
    for command in commands {
        let (name, _) = command.split_once(' ').expect("arguments");
        if tool(name).is_none() {
            return;
        }
        // Splitting is the shell's business; `--prefix` keeps it out of this machine.
        let prefix = folder.path().display();
        let with = command.replacen(' ', &format!(" --prefix {prefix} "), 1);
        // shadow's tools run without the host's default shell.
        let output = std::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("PATH=/usr/sbin:/usr/bin:/sbin:/bin {with}"))
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
    }
    let mut ours = accounts(1);
    apply_accounts(
        &[scriptlet(&commands.join("\n"))],
        &SysusersFiles::new(),
        &SysusersFiles::new(),
        &|_, _| false,
        &mut ours,
    )
    .expect("all are known");
    compare(folder.path(), &ours);
}

#[test]
fn sysusers_leave_the_accounts_that_systemd_leaves() {
    let text = "# comment\nu  su1 - \"Some user\" /var/lib/su1\nu su2 777 - -\ng sg1 -\ng sg2 888\n\
        u su3 666:sg1 \"x\" - /bin/bash\nm su1 sg1\nm new1 newg\nu su4 998 \"taken id\"\ng su5 -\nu su5 -\n\
        u su6 888\nr - 300-400\nu su7 401:100\nu su8 -:sg2\nm su2 users\nu bin 4000\n";
    let Some(mut real) = tool("systemd-sysusers") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    start(folder.path());
    let declared = folder.path().join("usr/lib/sysusers.d");
    std::fs::create_dir_all(&declared).expect("a folder");
    std::fs::write(declared.join("a.conf"), text).expect("a file");
    let output = real
        .arg(format!("--root={}", folder.path().display()))
        .env("SOURCE_DATE_EPOCH", "86400")
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let mut ours = accounts(1);
    let path = imgbuild::layer::LayerPath::parse("usr/lib/sysusers.d/a.conf").expect("a path");
    let files: SysusersFiles = [(path, text.as_bytes().to_vec())].into_iter().collect();
    apply_accounts(&[], &SysusersFiles::new(), &files, &|_, _| false, &mut ours).expect("works");
    compare(folder.path(), &ours);
}
