//! The service, and the demonstration of it.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{FAILED, USAGE_ERROR, configured, print_problems};
use crate::api::client::APIS;
use crate::api::demo_server::DemoServer;
use crate::config::{self, Config, Overrides, Severity};
use crate::monitor::http::listener::bind;
use crate::node::demo_history::{self, SteppedClock};
use crate::node::{Node, StartError};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::os_error::reason;
use crate::sys::signals::Signals;
use crate::sys::{log as logging, systemd};

/// Between attempts to get a port that is in use, under a supervisor.
const PORT_RETRY: Duration = Duration::from_secs(5);

pub fn serve(overrides: &Overrides) -> u8 {
    logging::init();
    let config = match configured(overrides) {
        Ok(config) => config,
        Err(status) => return status,
    };
    if config.file.is_none() {
        log::warn!(
            "nothing is configured: fetching the weather of Berlin as an example. Write a \
             main-node.toml (README, \"Your own readings\")"
        );
    }
    for remark in &config.remarks {
        if remark.weight != Severity::NotChecked {
            log::warn!("{}", remark.problem);
        }
    }
    run(&config, Arc::new(SystemClock::new()))
}

/// The whole system with no network. Its data goes when it ends, unless a file is named.
pub fn demo(overrides: &Overrides) -> u8 {
    logging::init();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::trusting());
    let simulated = match DemoServer::start(&APIS, clock.clone()) {
        Ok(simulated) => simulated,
        Err(error) => {
            eprintln!(
                "the simulated API cannot be served on 127.0.0.1: {}",
                reason(&error)
            );
            return FAILED;
        }
    };
    let kept = match &overrides.database {
        Some(database) => Ok(Kept::Named(database.clone())),
        None => Kept::temporary(),
    };
    let kept = match kept {
        Ok(kept) => kept,
        Err(error) => {
            eprintln!(
                "no temporary directory for the demo's database: {}; use --database",
                reason(&error)
            );
            return FAILED;
        }
    };
    if let Kept::Temporary(_) = &kept {
        a_day_before(kept.database(), &*clock, overrides);
    }
    let base = |api: &str| simulated.base_url(api);
    let status = match config::demo(&base, kept.database(), overrides, &APIS) {
        Ok(config) => run(&config, clock),
        Err(problems) => {
            print_problems(&problems);
            USAGE_ERROR
        }
    };
    simulated.stop();
    status
}

/// Gives the temporary database a past. Without one the demonstration is as good, but for its
/// charts.
fn a_day_before(database: PathBuf, clock: &dyn Clock, overrides: &Overrides) {
    let past = Arc::new(SteppedClock::a_day_before(clock.now()));
    let Ok(simulated) = DemoServer::start(&APIS, past.clone()) else {
        return;
    };
    let base = |api: &str| simulated.base_url(api);
    if let Ok(config) = config::demo(&base, database, overrides, &APIS)
        && let Err(error) = demo_history::store(&config, &past)
    {
        log::warn!("the demonstration has no past to show: {error}");
    }
    simulated.stop();
}

fn run(config: &Config, clock: Arc<dyn Clock>) -> u8 {
    let mut signals = match Signals::register() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("signals cannot be received: {}", reason(&error));
            return FAILED;
        }
    };
    let Some(listeners) = listen(&config.listen, &mut signals) else {
        return USAGE_ERROR;
    };
    let Some(listeners) = listeners else {
        return 0;
    };
    let node = match Node::start(config, listeners, &clock) {
        Ok(node) => node,
        Err(StartError::Wrong(message)) => {
            eprintln!("{message}");
            return USAGE_ERROR;
        }
        Err(StartError::Short(message)) => {
            log::error!("{message}");
            return FAILED;
        }
    };
    log::info!(
        "{}",
        found_at(node.addresses(), &config.page(), outward_address())
    );
    systemd::ready();
    signals.wait();
    log::info!("stopping: a signal asks for it");
    match node.stop() {
        true => 0,
        false => FAILED,
    }
}

/// The sockets; `Some(None)` if a signal came first, `None` if there is no way.
///
/// A person at a terminal is told at once. Under a supervisor nobody reads along, and what
/// is in the way (an old instance that is stopping, an address that DHCP has not given yet)
/// goes by itself.
fn listen(addresses: &[SocketAddr], signals: &mut Signals) -> Option<Option<Vec<TcpListener>>> {
    let mut said = String::new();
    loop {
        let error = match bind(addresses) {
            Ok(listeners) => return Some(Some(listeners)),
            Err(error) => error,
        };
        let may_pass = error.is_in_use() || error.is_not_there() || error.is_short_of_resources();
        if !may_pass || std::io::stderr().is_terminal() {
            eprintln!("{error}");
            return None;
        }
        let words = error.to_string();
        if words != said {
            log::error!("{words}; trying again every {} s", PORT_RETRY.as_secs());
            systemd::status(&words);
            said = words;
        }
        if signals.wait_for(PORT_RETRY) {
            return Some(None);
        }
    }
}

/// Where it listens, and an address that a browser can use: on this machine, or where others
/// are listened to, on theirs.
fn found_at(addresses: &[SocketAddr], page: &str, outward: Option<IpAddr>) -> String {
    let listed: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let listed = listed.join(" and ");
    let url = |address: &SocketAddr| format!("http://{address}/web");
    let mut open: Vec<String> = Vec::new();
    if addresses.iter().any(|it| !it.ip().is_loopback()) {
        open.push(format!("{page}/web"));
    }
    for address in addresses {
        let found = match (address.ip().is_unspecified(), outward) {
            (true, Some(outward)) => SocketAddr::new(outward, address.port()),
            (true, None) => continue,
            (false, _) => *address,
        };
        if !open.contains(&url(&found)) {
            open.push(url(&found));
        }
    }
    let only = match addresses.iter().all(|it| it.ip().is_loopback()) {
        true => " (this machine alone)",
        false => "",
    };
    format!("listening on {listed}{only}: open {}", open.join(" or "))
}

/// This machine's address in the network that its default route leads to. Connecting a datagram
/// socket asks the routing table and sends nothing.
fn outward_address() -> Option<IpAddr> {
    // For documentation (RFC 5737, RFC 3849): reached by the default route, and by nothing else.
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .into_iter()
        .find_map(|(any, far)| {
            let socket = UdpSocket::bind(any).ok()?;
            socket.connect(far).ok()?;
            Some(socket.local_addr().ok()?.ip())
        })
}

/// Where the demo keeps its data.
enum Kept {
    Named(PathBuf),
    /// Removed at the end.
    Temporary(PathBuf),
}

impl Kept {
    fn temporary() -> std::io::Result<Kept> {
        let name = format!("main-node-demo-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory)?;
        Ok(Kept::Temporary(directory))
    }

    fn database(&self) -> PathBuf {
        match self {
            Kept::Named(file) => file.clone(),
            Kept::Temporary(directory) => directory.join("main-node.db"),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Kept::Temporary(directory) = self {
            remove(directory);
        }
    }
}

fn remove(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory) {
        log::warn!("{} is left behind: {}", directory.display(), reason(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_is_said_is_one_that_others_can_use() {
        let outward: IpAddr = [192, 168, 1, 20].into();
        for (listening, outward, expected) in [
            (
                &["0.0.0.0:8000", "[::]:8000"][..],
                Some(outward),
                "listening on 0.0.0.0:8000 and [::]:8000: open http://pi.local:8000/web or \
                 http://192.168.1.20:8000/web",
            ),
            (
                &["0.0.0.0:8000"],
                None,
                "listening on 0.0.0.0:8000: open http://pi.local:8000/web",
            ),
            (
                &["127.0.0.1:8000"],
                Some(outward),
                "listening on 127.0.0.1:8000 (this machine alone): open http://127.0.0.1:8000/web",
            ),
            (
                &["10.0.0.2:80"],
                Some(outward),
                "listening on 10.0.0.2:80: open http://pi.local:8000/web or http://10.0.0.2:80/web",
            ),
        ] {
            let addresses: Vec<SocketAddr> = listening
                .iter()
                .map(|it| it.parse().expect("an address"))
                .collect();
            assert_eq!(
                found_at(&addresses, "http://pi.local:8000", outward),
                expected
            );
        }
    }
}
