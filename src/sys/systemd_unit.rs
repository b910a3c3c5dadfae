//! systemctl: state and restart of the installed service, for commands that root runs.

use std::process::{Command, Stdio};

const UNIT: &str = "main-node.service";

/// Whether it runs, or is about to. False where there is no systemd.
pub fn is_active() -> bool {
    let output = Command::new("systemctl")
        .args(["is-active", UNIT])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|output| matches!(output.stdout.trim_ascii(), b"active" | b"activating"))
}

/// Restarts it and waits until it is ready. `Err` is what systemctl said.
pub fn restart() -> Result<(), String> {
    run("restart")
}

/// Reloads it if it runs, else starts it, and waits until it is ready.
pub fn reload_or_restart() -> Result<(), String> {
    run("reload-or-restart")
}

fn run(command: &str) -> Result<(), String> {
    let output = Command::new("systemctl")
        .args([command, UNIT])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(output.stderr.trim_ascii()).into_owned())
    }
}
