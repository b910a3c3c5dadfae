//! A restore that is killed before each of its steps: either database is complete afterwards, and
//! doing it again comes to the same end.
//!
//! The child is this test program, called anew for one ignored test and traced with ptrace(2): it is
//! killed before one of the system calls that change a file.

use std::ffi::c_int;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use super::*;

const DIRECTORY: &str = "MAIN_NODE_TEST_RESTORE";
/// At how many steps to kill: some of them in every run, all (`0`) where somebody waits for it.
const KILLS: &str = "MAIN_NODE_TEST_RESTORE_KILLS";

#[test]
fn a_kill_at_any_step_loses_neither_database() {
    let (all, status) = restore_killed_before(&copy_of(&template()), usize::MAX);
    if status.code() == Some(NOT_TRACED) {
        eprintln!("ptrace(2) is not allowed here: not tested");
        return;
    }
    assert!(status.success(), "{status}");
    assert!(all > 50, "{all} steps are seen");
    let kills = std::env::var(KILLS).ok();
    let kills = kills.and_then(|kills| kills.parse().ok()).unwrap_or(30);
    let stride = if kills == 0 { 1 } else { all.div_ceil(kills) };
    // Other steps in other runs.
    let first = std::process::id() as usize % stride;
    let template = template();
    let (mut old, mut new) = (0, 0);
    for step in (first..all).step_by(stride) {
        let directory = copy_of(&template);
        let (_, status) = restore_killed_before(&directory, step);
        assert_eq!(status.signal(), Some(libc::SIGKILL), "step {step}");
        let path = directory.path("db");
        apply_staged(&path, NOW).expect("the node starts");
        if keys(&path) == ["present"] {
            // It was not staged yet: all is as before, and can be done again.
            assert_eq!(outbox(&path), ["not told yet"], "step {step}");
            old += 1;
            stage(&directory.path("earlier"), &location(&path)).expect("nothing is in the way");
            apply_staged(&path, NOW).expect("it is taken");
        } else {
            new += 1;
        }
        assert_restored(&directory, &path, &format!("step {step}"));
        assert_eq!(
            keys(&directory.path("earlier")),
            ["restored"],
            "step {step}"
        );
    }
    assert!(
        old > 0 && new > 0,
        "{old} kills came before it was staged, {new} after"
    );
}

fn template() -> Directory {
    let directory = Directory::new();
    restorable_from(&directory);
    directory
}

fn copy_of(template: &Directory) -> Directory {
    let directory = Directory::new();
    for name in template.names() {
        std::fs::copy(template.path(&name), directory.path(&name)).expect("it can be copied");
    }
    directory
}

/// Runs the child; kills it before the system call `step` of those that change a file. How many of
/// them it came to, and how it ended.
fn restore_killed_before(directory: &Directory, step: usize) -> (usize, ExitStatus) {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "db::restore::tests::kill::restores_while_traced"])
        .args(["--ignored", "--test-threads=1"])
        .env(DIRECTORY, directory.path(""))
        .stdout(Stdio::null())
        .spawn()
        .expect("this program can be called again");
    let pid = child.id() as libc::pid_t;
    let mut seen = 0;
    let mut is_entry = false;
    let status = loop {
        let (stopped, status) = wait();
        if stopped == pid && (libc::WIFEXITED(status) || libc::WIFSIGNALED(status)) {
            break status;
        }
        if !libc::WIFSTOPPED(status) {
            continue;
        }
        let mut signal = libc::WSTOPSIG(status);
        if signal == libc::SIGTRAP | SYSCALL_STOP {
            signal = 0;
            is_entry = !is_entry;
            if is_entry && changes_a_file(stopped) {
                if seen == step {
                    child.kill().expect("it can be killed");
                    continue;
                }
                seen += 1;
            }
        } else if signal == libc::SIGSTOP {
            signal = 0;
            ptrace(
                libc::PTRACE_SETOPTIONS as c_int,
                stopped,
                libc::PTRACE_O_TRACESYSGOOD,
            );
        }
        ptrace(libc::PTRACE_SYSCALL as c_int, stopped, signal);
    };
    // Nothing is left to wait for.
    let _ = child.wait();
    (seen, ExitStatus::from_raw(status))
}

/// The child's exit code where it cannot be traced.
const NOT_TRACED: c_int = 77;

/// What `PTRACE_O_TRACESYSGOOD` adds to the signal of a system call.
const SYSCALL_STOP: c_int = 0x80;

/// Waits for a child of this thread; those of other tests are not taken.
fn wait() -> (libc::pid_t, c_int) {
    let mut status = 0;
    // SAFETY: the status is written to an integer of ours.
    let stopped = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
    assert!(stopped > 0, "{}", std::io::Error::last_os_error());
    (stopped, status)
}

fn ptrace(request: c_int, thread: libc::pid_t, data: c_int) {
    // SAFETY: these requests read and write no memory.
    unsafe { libc::ptrace(request as _, thread, 0_usize, data as usize) };
}

/// What PTRACE_GET_SYSCALL_INFO writes at an entry.
#[repr(C)]
#[derive(Default)]
struct SyscallInfo {
    head: [u64; 3],
    number: u64,
    arguments: [u64; 6],
    rest: [u64; 2],
}

/// Whether the system call that the thread is about to make changes a file.
fn changes_a_file(thread: libc::pid_t) -> bool {
    const GET_SYSCALL_INFO: c_int = 0x420e;
    let mut info = SyscallInfo::default();
    // SAFETY: the kernel writes at most the given number of bytes to a value of that size.
    unsafe {
        let size = size_of::<SyscallInfo>();
        libc::ptrace(GET_SYSCALL_INFO as _, thread, size, &raw mut info);
    }
    match info.number as libc::c_long {
        libc::SYS_openat => info.arguments[2] as c_int & libc::O_CREAT != 0,
        libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_ftruncate | libc::SYS_fsync => true,
        libc::SYS_fdatasync | libc::SYS_fchmod | libc::SYS_fchown => true,
        libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_unlinkat => true,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename | libc::SYS_unlink => true,
        _ => false,
    }
}

/// The child: stages the copy and takes it.
#[test]
#[ignore = "the child of the test above"]
fn restores_while_traced() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    // SAFETY: both change nothing in this process but that it stops.
    unsafe {
        if libc::ptrace(libc::PTRACE_TRACEME, 0, 0_usize, 0_usize) != 0 {
            std::process::exit(NOT_TRACED);
        }
        libc::raise(libc::SIGSTOP);
    }
    let path = directory.join("db");
    stage(&directory.join("earlier"), &location(&path)).expect("a good copy is staged");
    apply_staged(&path, NOW).expect("it is taken");
}
