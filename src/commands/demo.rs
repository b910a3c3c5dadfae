//! `main-node demo`: the service with a simulated house, without a network.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::serve;
use super::{FAILED, USAGE_ERROR, print_problems};
use crate::api::client::APIS;
use crate::api::demo_server::DemoServer;
use crate::api::simulated_house::House;
use crate::config::{self, Config, Overrides, Problem};
use crate::node::Node;
use crate::node::demo_history::{self, HistoryPlan, HistoryThread, SteppedClock};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::log as logging;
use crate::sys::os_error::reason;
use crate::sys::percent::SharedPercent;
use crate::sys::time_zone;

/// How the names of temporary directories begin.
const DIRECTORY: &str = "main-node-demo-";
/// Locked in a directory as long as its demo runs.
const LOCK_FILE: &str = "lock";

/// Its data is deleted at the end, unless a file is named.
pub fn demo(overrides: &Overrides) -> u8 {
    logging::init();
    match run(overrides) {
        Ok(status) => status,
        Err(DemoError::Misconfigured(problems)) => {
            print_problems(&problems);
            USAGE_ERROR
        }
        Err(DemoError::Failed(message)) => {
            eprintln!("{message}");
            FAILED
        }
    }
}

enum DemoError {
    Misconfigured(Vec<Problem>),
    Failed(String),
}

fn run(overrides: &Overrides) -> Result<u8, DemoError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::always_trusted());
    let house = Arc::new(House::new(time_zone::of_machine()));
    let simulated = start_server(&house, clock.clone())?;
    let mut signals = match serve::register_signals(false) {
        Ok(signals) => signals,
        Err(status) => return Ok(status),
    };
    let directory = match &overrides.database {
        Some(_) => None,
        None => Some(TemporaryDirectory::create(&std::env::temp_dir()).map_err(|error| {
            DemoError::Failed(format!(
                "the temporary directory for the demo's database cannot be created: {}. Name a file \
                 with --database",
                reason(&error)
            ))
        })?),
    };
    let named = overrides.database.clone().unwrap_or_default();
    let database = directory
        .as_ref()
        .map_or(named, TemporaryDirectory::database);
    let configure = |server: &DemoServer| {
        let base = |name: &str| server.base_url(name);
        config::demo(&base, database.clone(), overrides, &APIS).map_err(DemoError::Misconfigured)
    };
    let mut config = configure(&simulated)?;
    let history = match &directory {
        Some(_) => {
            let stepped = Arc::new(SteppedClock::at(clock.now()));
            let server = start_server(&house, stepped.clone())?;
            let history = History::new(configure(&server)?, stepped, server);
            history.generate_recent();
            config.demo_history = Some(history.progress.clone());
            Some(history)
        }
        None => None,
    };
    let node = match serve::start(&config, &clock, &mut signals) {
        Ok(node) => node,
        Err(status) => return Ok(status),
    };
    let generating = history.and_then(|history| history.generate_earlier(&node));
    let status = serve::run_until_signalled(node, &mut signals, || drop(generating));
    simulated.stop();
    Ok(status)
}

fn start_server(house: &Arc<House>, clock: Arc<dyn Clock>) -> Result<DemoServer, DemoError> {
    DemoServer::start(&APIS, house.clone(), clock).map_err(|error| {
        DemoError::Failed(format!(
            "the simulated devices cannot be started on 127.0.0.1: {}",
            reason(&error)
        ))
    })
}

/// The readings of the year before now.
struct History {
    config: Config,
    plan: HistoryPlan,
    clock: Arc<SteppedClock>,
    server: DemoServer,
    progress: Arc<SharedPercent>,
}

impl History {
    fn new(config: Config, clock: Arc<SteppedClock>, server: DemoServer) -> History {
        History {
            plan: HistoryPlan::of_a_year(clock.now().wall, &config.timezone),
            config,
            clock,
            server,
            progress: Arc::default(),
        }
    }

    /// What the first page shows. Without it only the charts are empty.
    fn generate_recent(&self) {
        if let Err(error) = demo_history::generate(&self.config, &self.clock, &self.plan.recent) {
            log::warn!("demo history could not be generated: {error}");
        }
    }

    /// The rest, while the node runs.
    fn generate_earlier(self, node: &Node) -> Option<RunningHistory> {
        let started = HistoryThread::start(
            self.config,
            self.clock,
            self.plan.earlier,
            node.store().clone(),
            self.progress,
        );
        match started {
            Ok(thread) => Some(RunningHistory {
                _thread: thread,
                _server: self.server,
            }),
            Err(error) => {
                log::warn!("demo history could not be generated: {}", reason(&error));
                None
            }
        }
    }
}

/// Dropped in this order.
struct RunningHistory {
    _thread: HistoryThread,
    _server: DemoServer,
}

/// The directory of the demo's database; removed at the end.
struct TemporaryDirectory {
    path: PathBuf,
    _lock: File,
}

impl TemporaryDirectory {
    /// Also removes the directories of demos that were killed.
    fn create(within: &Path) -> std::io::Result<TemporaryDirectory> {
        let path = within.join(format!("{DIRECTORY}{}", std::process::id()));
        remove_abandoned(within, &path);
        fs::create_dir(&path)?;
        let lock = lock_new(&path).inspect_err(|_| remove(&path))?;
        Ok(TemporaryDirectory { path, _lock: lock })
    }

    fn database(&self) -> PathBuf {
        self.path.join("main-node.db")
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// The lock file appears locked.
fn lock_new(directory: &Path) -> std::io::Result<File> {
    let unlocked = directory.join("lock.new");
    let lock = File::create_new(&unlocked)?;
    lock.lock()?;
    fs::rename(&unlocked, directory.join(LOCK_FILE))?;
    Ok(lock)
}

/// Removes directories of this user whose demo does not run any more; `own` is this process's,
/// whose number a killed demo may have had.
fn remove_abandoned(within: &Path, own: &Path) {
    let user = rustix::process::getuid().as_raw();
    let entries = fs::read_dir(within).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours = fs::symlink_metadata(&path)
            .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user);
        if name.starts_with(DIRECTORY) && is_ours && (path == own || is_abandoned(&path)) {
            remove(&path);
        }
    }
}

fn is_abandoned(directory: &Path) -> bool {
    let mut options = OpenOptions::new();
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let Ok(lock) = options
        .read(true)
        .custom_flags(flags)
        .open(directory.join(LOCK_FILE))
    else {
        return false;
    };
    !matches!(
        lock.try_lock(),
        Err(TryLockError::WouldBlock | TryLockError::Error(_))
    )
}

fn remove(directory: &Path) {
    if let Err(error) = fs::remove_dir_all(directory) {
        log::warn!(
            "{} could not be removed: {}",
            directory.display(),
            reason(&error)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_killed_demos_are_removed_at_the_next_start() {
        let name = format!("main-node-demo-test-{}", std::process::id());
        let within = std::env::temp_dir().join(name);
        fs::create_dir(&within).expect("a directory");
        let make = |name: &str| {
            let path = within.join(name);
            fs::create_dir(&path).expect("a directory");
            fs::write(path.join("main-node.db"), "").expect("a file");
            path
        };
        let (running, killed) = (make("main-node-demo-a"), make("main-node-demo-b"));
        let (unlocked, other) = (make("main-node-demo-c"), make("somebody-else"));
        let lock = lock_new(&running).expect("a lock");
        drop(lock_new(&killed).expect("a lock"));
        let own = TemporaryDirectory::create(&within).expect("a directory");
        let exists = [&running, &killed, &unlocked, &other].map(|it| it.exists());
        // One without a lock is just being made, or was made by 0.1.
        assert_eq!(exists, [true, false, true, true]);
        let path = own.path.clone();
        assert!(path.exists());
        drop(own);
        assert!(!path.exists());
        drop(lock);
        remove(&within);
    }
}
