//! Ends an instance when its owner dies without having ended it.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits until the owner's end of the pipe is closed. A folder that is gone by then was cleared away; one that is being
/// cleared away by somebody else is locked. `$0` is the folder.
const SCRIPT: &str = r#"
read -r _
exec 9<"$0.owner" || exit 0
flock --wait 120 9 || exit 1
[ -d "$0" ] || exit 0
timeout 60 /usr/sbin/postfix -c "$0/config" stop
for process in /proc/[0-9]*; do
    case "$(readlink "$process/cwd")" in
        "$0"/*) kill -s KILL "${process#/proc/}" ;;
    esac
done
rm -rf "$0"
rm -f "$0.owner"
"#;

/// A process of its own session, so that no signal to the tests' reaches it.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    pub(super) fn start(folder: &Path) -> io::Result<Self> {
        let mut command = Command::new("setsid");
        command
            .args(["sh", "-c", SCRIPT])
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().map(Self)
    }

    /// What the death of the owner does.
    pub(super) fn let_go(&mut self) {
        drop(self.0.stdin.take());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.let_go();
        self.0.wait().ok();
    }
}
