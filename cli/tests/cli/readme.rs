//! The README's commands do what it says when they are pasted, and print what it shows.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// Between what two commands print.
const MARK: &str = "---- the command before ended with ";
/// Waits until the first email is sent, as everybody does who types the next command with their fingers.
const SENT: &str =
    "timeout 30 bash -c 'until carepost deliveries --state sent --json | grep -q portal/pu-9; do sleep 0.1; done'\n";
/// Seconds that all commands together may take: Python's packages are fetched when they are not there yet.
const PASTING: &str = "600";
/// Seconds that it may take to install the clients that the commands need.
const INSTALLING: &str = "900";

/// Where the services listen, as the README has it.
const PORTS: [(&str, &str); 3] = [
    ("messaging", "127.0.0.1:7602"),
    ("eligibility", "127.0.0.1:7601"),
    ("notification", "127.0.0.1:7603"),
];

/// Blocks that nobody pastes into a shell on this machine: how they start.
const NOT_PASTED: [&str; 5] = [
    " EMR, portal",
    "make run\n",
    "make test\n",
    "carepost-messaging --config",
    "proto/ ",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The fenced blocks of the README, each with its language.
fn blocks(readme: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in readme.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, text))) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end");
    found
}

/// The commands of a session, each with what it prints.
fn commands(session: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut continued = false;
    for line in session.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            (None, Some((command, _))) if continued => *command += &format!("\n{line}"),
            (None, Some((_, output))) => *output += &format!("{line}\n"),
            (None, None) => panic!("a session starts with a command: {session}"),
        }
        continued = line.ends_with('\\');
    }
    commands
}

/// The text with all that differs from one run to the next given a name.
fn normal(text: &str) -> String {
    let text = named(text, "ffffffff-ffff-ffff-ffff-ffffffffffff", "ID");
    let text = named(&text, "9999-99-99 99:99", "TIME");
    let text = named(&text, "9999-99-99T99:99:99", "TIME");
    let parts = text.split("TIME.").enumerate();
    let cut = parts.map(|(place, part)| {
        let digits = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        if place == 0 {
            part.to_owned()
        } else {
            format!("TIME{digits}")
        }
    });
    cut.collect::<String>().trim_end().to_owned()
}

/// The text with a name for whatever has this form: 9 is a digit, f a hexadecimal one, and all else is itself.
fn named(text: &str, form: &str, name: &str) -> String {
    let fits = |place: usize| {
        let piece = text.get(place..place + form.len());
        piece.is_some_and(|piece| {
            piece.chars().zip(form.chars()).all(|(letter, kind)| match kind {
                '9' => letter.is_ascii_digit(),
                'f' => letter.is_ascii_hexdigit(),
                _ => letter == kind,
            })
        })
    };
    let (mut result, mut place) = (String::new(), 0);
    while let Some(letter) = text[place..].chars().next() {
        if fits(place) {
            result += name;
            place += form.len();
        } else {
            result.push(letter);
            place += letter.len_utf8();
        }
    }
    result
}

fn assert_same(command: &str, printed: &str, shown: &str) {
    let (printed, shown) = (normal(printed), normal(shown));
    // How JSON is indented is nobody's promise.
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    if let (Some(printed), Some(shown)) = (json(&printed), json(&shown)) {
        assert_eq!(printed, shown, "{command}");
    } else {
        assert!(
            printed == shown,
            "{command}\nprints:\n{printed}\n\nThe README shows:\n{shown}"
        );
    }
}

/// A folder that looks like the project's to who pastes, with its protos, its data and a target folder, and a home folder.
/// The Python environment in it stays from one run to the next, so one test has the folder at a time.
struct Folder {
    project: PathBuf,
    home: PathBuf,
    _lock: File,
}

impl Folder {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
        let (project, home) = (folder.join("project"), folder.join("home"));
        fs::create_dir_all(project.join("target/client")).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        for old in ["proto", "tests", "target/run", "target/client/carepost"] {
            fs::remove_dir_all(project.join(old)).ok();
        }
        fs::remove_dir_all(&home).ok();
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(project.join("tests/data")).unwrap();
        let copy = Command::new("cp")
            .arg("-r")
            .arg(root().join("proto"))
            .arg(&project)
            .status();
        assert!(copy.unwrap().success());
        let directory = "tests/data/prairie.directory.json";
        fs::copy(root().join(directory), project.join(directory)).unwrap();
        Self {
            project,
            home,
            _lock: lock,
        }
    }

    /// A program here, with a home folder of its own.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.project)
            .env("HOME", &self.home)
            .stdin(Stdio::null());
        command
    }
}

/// A suite as `make run` starts it, but on ports of its own. It is killed when dropped.
struct Suite {
    child: Child,
    told: String,
}

impl Suite {
    fn start(folder: &Folder) -> Self {
        let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
        let mut lines = makefile.lines();
        let start = lines.find_map(|line| line.strip_prefix("\t@exec $(TARGET)/debug/carepost run "));
        let arguments = start.unwrap().replace("$(TARGET)", "target");
        let mut command = folder.command(env!("CARGO_BIN_EXE_carepost"));
        command
            .arg0("target/debug/carepost")
            .arg("run")
            .args(arguments.split(' '));
        for (service, _) in PORTS {
            command.args([&format!("--{service}-port"), "0"]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut told = String::new();
        for line in output.lines() {
            told += &format!("{}\n", line.unwrap());
            if told.contains("Ctrl-C stops it.") {
                break;
            }
        }
        Self { child, told }
    }

    /// Where a service listens.
    fn address(&self, service: &str) -> &str {
        let mut lines = self.told.lines();
        let line = lines.find_map(|line| line.trim_start().strip_prefix(service));
        line.unwrap_or_else(|| panic!("the suite does not start: {}", self.told))
            .trim()
    }

    /// A text of the README for this suite.
    fn localized(&self, text: &str) -> String {
        let ports = PORTS.iter();
        ports.fold(text.to_owned(), |text, (service, port)| {
            text.replace(port, self.address(service))
        })
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the suite's command is, and the clients that `make` installs: the first part of a search path.
fn programs() -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut install = Command::new("timeout");
    install
        .args([INSTALLING, "make", "--silent", "clients"])
        .current_dir(root());
    let install = install.env("CARGO_TARGET_DIR", target);
    let installed = install
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&installed.stderr);
    assert!(installed.status.success(), "{complaints}");
    let carepost = Path::new(env!("CARGO_BIN_EXE_carepost")).parent().unwrap();
    format!(
        "{}:{}",
        carepost.display(),
        target.join("lint/node_modules/.bin").display()
    )
}

/// Pastes commands into one shell, and gives what each prints, in the order of the commands.
fn paste(folder: &Folder, commands: &[(String, String)]) -> Vec<String> {
    // What a command ends with is kept for the next, which may be `echo $?`.
    let mut script = format!("mark() {{ local code=$?; echo \"{MARK}$code\"; return $code; }}\n");
    script += &format!("PATH='{}':$PATH\n", programs());
    for (command, _) in commands {
        if command.starts_with("carepost deliveries ") {
            script += SENT;
        }
        script += &format!("{command}\nmark\n");
    }
    let mut shell = folder.command("timeout");
    shell.args(["--kill-after", "10", PASTING, "bash", "-c", &script]);
    let output = shell.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    let mut printed: Vec<String> = Vec::new();
    let mut rest = told.as_str();
    for (place, (command, _)) in commands.iter().enumerate() {
        let (text, after) = rest
            .split_once(MARK)
            .unwrap_or_else(|| panic!("{command}: no end\n{complaints}"));
        let (code, after) = after.split_once('\n').unwrap();
        let asked = commands.get(place + 1).is_some_and(|(next, _)| next == "echo $?");
        assert!(
            code == "0" || asked,
            "{command}: exit code {code}\n{text}\n{complaints}"
        );
        printed.push(text.to_owned());
        rest = after;
    }
    printed
}

#[test]
fn its_commands_work_as_printed() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let folder = Folder::new();
    let suite = Suite::start(&folder);
    let mut pasted = Vec::new();
    let (mut starts, mut scripts) = (0, 0);
    for (language, text) in blocks(&suite.localized(&readme)) {
        if text.starts_with("$ ") {
            pasted.extend(commands(&text));
        } else if language == "python" {
            let name = text.lines().next().and_then(|line| line.strip_prefix("# "));
            fs::write(folder.project.join("target/client").join(name.unwrap()), text).unwrap();
            scripts += 1;
        } else if text.starts_with("Imported ") {
            assert_same("make run", &suite.told, &text);
            starts += 1;
        } else if text.starts_with("Carepost: ") {
            let mut make = Command::new("make");
            let help = make
                .env_remove("MAKEFLAGS")
                .env_remove("MAKELEVEL")
                .current_dir(root())
                .output();
            assert_same("make", &String::from_utf8(help.unwrap().stdout).unwrap(), &text);
            starts += 1;
        } else {
            assert!(
                NOT_PASTED.iter().any(|start| text.starts_with(start)),
                "no test runs this:\n{text}"
            );
        }
    }
    let buf = pasted
        .iter()
        .filter(|(command, _)| command.starts_with("buf curl "))
        .count();
    assert_eq!((starts, scripts, buf), (2, 1, 2));
    for ((command, shown), printed) in pasted.iter().zip(paste(&folder, &pasted)) {
        if !shown.is_empty() {
            assert_same(command, &printed, shown);
        }
    }
}
