//! moto's ECR and STS: <https://docs.getmoto.org/en/latest/docs/server_mode.html>.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::skip;
use crate::{Cloud, ECR, Home, printed};

/// What moto gives to everybody; it says that it ended in 2015.
const PASSWORD: &str = "123456789012-auth-token";

/// A running server. It stops when dropped.
struct Moto {
    child: Child,
    url: String,
}

impl Moto {
    /// Starts one, if it is installed.
    fn start() -> Option<Self> {
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/moto_server");
        if !program.exists() {
            skip("moto_server is not in target/venv: run tests/install");
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto_server starts");
        let moto = Self {
            child,
            url: format!("http://{address}"),
        };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "moto_server comes up"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(moto)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_environment_a_profile_and_a_web_identity_each_get_a_password() {
    let Some(moto) = Moto::start() else { return };
    let environment = Home::new()
        .with_keys()
        .set("AWS_ENDPOINT_URL_ECR", &moto.url);

    let profile = Home::new().set("AWS_PROFILE", "ci");
    let keys = "aws_access_key_id = AKIDTEST\naws_secret_access_key = s3cr3t-key\n";
    profile.write(".aws/credentials", &format!("[ci]\n{keys}"));
    let services = format!(
        "[profile ci]\nregion = us-east-1\nservices = local\n[services local]\necr =\n  endpoint_url = {}\n",
        moto.url
    );
    profile.write(".aws/config", &services);

    let identity = Home::new()
        .set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/push")
        .set("AWS_ENDPOINT_URL", &moto.url);
    let file = identity.write("token", "eyJhbGciOiJub25lIn0.e30.");
    let identity = identity.set("AWS_WEB_IDENTITY_TOKEN_FILE", file);

    for (what, home) in [
        ("environment", environment),
        ("profile", profile),
        ("web identity", identity),
    ] {
        let cloud = Cloud::private(PASSWORD);
        printed(
            &home.push(&cloud.server, &format!("{ECR}/app:1")),
            0,
            &[PASSWORD],
        );
        // Although its end has passed: then one of the clocks is wrong, and the registry decides.
        assert_eq!(cloud.shown(), [PASSWORD], "{what}");
    }
}
