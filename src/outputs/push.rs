//! Push output: sends values to a display over HTTP, as they change.
//!
//! On the thread of the output, one request at a time. A display that is slow or away is sent the
//! newest values when it is back, and nothing in between.

mod answer;
mod awtrix;
mod message;
mod queue;
mod selection;
mod templated;

use std::sync::Arc;
use std::time::Duration;

use ureq::http::Method;

use self::answer::{PushAnswer, classify};
use self::awtrix::AwtrixDisplay;
use self::message::PushMessage;
use self::queue::{NextPush, Pacing, PushQueue};
use self::templated::{SnapshotReceiver, TemplateReceiver};
use super::{Follows, Output, OutputContext};
use crate::config::{PushConfig, PushContent};
use crate::domain::back_off::BackOff;
use crate::domain::plan::Plan;
use crate::domain::service_url::{origin, without_login};
use crate::domain::snapshot::Snapshot;
use crate::domain::text::count_noun;
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::http_client;
use crate::sys::redirect::describe_redirect;
use crate::sys::shutdown::{StopToken, WakeReason};
use crate::sys::tls::{TrustOptionNames, TrustSettings};

const TRUST: TrustOptionNames = TrustOptionNames {
    table: "[[push]]",
    name: "write that name in `url`",
    client_certificate: None,
    ..TrustOptionNames::SOURCE
};

/// One `[[push]]`.
pub struct PushOutput {
    name: String,
    /// Scheme, host and port.
    origin: String,
    headers: Vec<(String, String)>,
    receiver: PushReceiver,
    plan: Arc<Plan>,
    trust: TrustSettings,
    queue: PushQueue,
    /// Of the newest snapshot.
    current: Option<CurrentMessages>,
    /// Failures in a row, and when the next attempt is.
    failures: u64,
    paused_until: Mono,
    /// When the display is asked for what an earlier run left there.
    clear_at: Option<Mono>,
    /// What the receiver refused last, and why.
    refused: Option<(Arc<str>, String)>,
}

/// Who is sent messages, and what they are made of.
enum PushReceiver {
    Awtrix(AwtrixDisplay),
    Snapshot(SnapshotReceiver),
    Template(TemplateReceiver),
}

/// All messages about one snapshot.
struct CurrentMessages {
    snapshot: Arc<Snapshot>,
    messages: Arc<[PushMessage]>,
    left_out: usize,
}

impl PushOutput {
    pub fn new(config: &PushConfig, node: &str, plan: Arc<Plan>) -> PushOutput {
        let url = without_login(config.url.reveal());
        let origin = origin(&url).to_owned();
        let authorization = config.authorization.iter();
        let authorization: Vec<_> = authorization
            .map(|it| ("Authorization".to_owned(), it.reveal().to_owned()))
            .collect();
        let literal = config.headers.iter();
        let literal = literal.map(|it| (it.name.clone(), it.value.reveal().to_owned()));
        let headers: Vec<_> = authorization.iter().cloned().chain(literal).collect();
        let method = config.method.parse().unwrap_or(Method::POST);
        let keys = config.keys.clone();
        let receiver = match &config.content {
            PushContent::Awtrix(settings) => PushReceiver::Awtrix(AwtrixDisplay::new(
                origin.clone(),
                node,
                settings.clone(),
                keys,
                headers.clone(),
            )),
            PushContent::Snapshot => PushReceiver::Snapshot(SnapshotReceiver {
                url,
                method,
                keys,
                headers: headers.clone(),
            }),
            PushContent::Template(templates) => PushReceiver::Template(TemplateReceiver {
                templates: templates.clone(),
                method,
                keys,
                headers: authorization,
                node: node.into(),
            }),
        };
        let pacing = Pacing {
            every: config.every,
            refresh: config.lifetime.map(|lifetime| lifetime / 2),
            can_remove: matches!(receiver, PushReceiver::Awtrix(_)),
        };
        PushOutput {
            name: config.output_name(),
            origin,
            headers,
            receiver,
            plan,
            trust: config.trust.clone(),
            queue: PushQueue::new(pacing),
            current: None,
            failures: 0,
            paused_until: Mono(0),
            clear_at: None,
            refused: None,
        }
    }

    /// Does what is due, and returns how long there is nothing to do.
    fn step(&mut self, context: &OutputContext) -> Duration {
        let now = context.clock.now();
        let Some(snapshot) = context.snapshots.get() else {
            return limits::OUTPUT_IDLE;
        };
        let messages = self.messages(snapshot, context);
        context.status.waiting(self.queue.waiting(&messages));
        if self.paused_until > now.mono {
            return self.paused_until.since(now.mono);
        }
        match self.queue.next(&messages, now.mono) {
            NextPush::Send(message) => self.send(message, context),
            NextPush::Remove(app) => self.remove(&app, context),
            NextPush::Wait(until) => return self.idle(until, now.mono, context),
        }
        Duration::ZERO
    }

    /// The messages of the newest snapshot, made once.
    fn messages(&mut self, snapshot: Arc<Snapshot>, context: &OutputContext) -> Arc<[PushMessage]> {
        if let Some(current) = &self.current
            && Arc::ptr_eq(&current.snapshot, &snapshot)
        {
            return current.messages.clone();
        }
        let (messages, left_out) = match &self.receiver {
            PushReceiver::Awtrix(display) => display.messages(&snapshot, &self.plan),
            PushReceiver::Snapshot(receiver) => receiver.messages(&snapshot),
            PushReceiver::Template(receiver) => receiver.messages(&snapshot, &self.plan),
        };
        let messages: Arc<[PushMessage]> = messages.into();
        self.current = Some(CurrentMessages {
            snapshot,
            messages: messages.clone(),
            left_out,
        });
        self.note(context);
        messages
    }

    fn send(&mut self, message: &PushMessage, context: &OutputContext) {
        let answer = self.request(message, &context.stop);
        let now = context.clock.now();
        match answer {
            PushAnswer::Accepted(_) => {
                self.queue.accepted(message, now.mono);
                self.succeeded(context, now);
                if self
                    .refused
                    .as_ref()
                    .is_some_and(|it| it.0 == message.about)
                {
                    self.refused = None;
                    self.note(context);
                }
            }
            PushAnswer::Refused(why) => {
                self.queue.refused(message, now.mono);
                context.status.dropped(1);
                self.refused = Some((message.about.clone(), why));
                self.note(context);
            }
            failed => self.failed(failed, context, now),
        }
    }

    fn remove(&mut self, app: &str, context: &OutputContext) {
        let PushReceiver::Awtrix(display) = &self.receiver else {
            return;
        };
        let answer = self.request(&display.removal(app), &context.stop);
        let now = context.clock.now();
        match answer {
            // One that refuses has no such app.
            PushAnswer::Accepted(_) | PushAnswer::Refused(_) => {
                self.queue.removed(app);
                self.succeeded(context, now);
            }
            failed => self.failed(failed, context, now),
        }
    }

    /// Nothing is due until then: once, the display is asked what an earlier run left there.
    fn idle(&mut self, until: Option<Mono>, now: Mono, context: &OutputContext) -> Duration {
        let until = until.map_or(limits::OUTPUT_IDLE, |until| until.since(now));
        let Some(clear_at) = self.clear_at else {
            return until;
        };
        if clear_at > now {
            return until.min(clear_at.since(now));
        }
        let PushReceiver::Awtrix(display) = &self.receiver else {
            return until;
        };
        let answer = self.request(&display.app_list(), &context.stop);
        let moment = context.clock.now();
        match answer {
            PushAnswer::Accepted(list) => {
                let found = display.own_apps(&list);
                for app in found {
                    self.queue.found(app, now);
                }
                self.clear_at = None;
            }
            PushAnswer::Unreachable(_) => self.failed(answer, context, moment),
            // Not every version has a list.
            PushAnswer::Refused(_) | PushAnswer::Failed(..) => self.clear_at = None,
        }
        Duration::ZERO
    }

    fn request(&self, message: &PushMessage, stop: &StopToken) -> PushAnswer {
        let request = match message.to_request() {
            Ok(request) => request,
            Err(why) => return PushAnswer::Refused(why),
        };
        let url = request.uri().clone();
        let answer = http_client::send(request, (&self.trust, Some(&TRUST)), stop);
        let is_awtrix = matches!(self.receiver, PushReceiver::Awtrix(_));
        match answer {
            Ok(response) => match describe_redirect(&response, &url, ("it", "url")) {
                Some(why) => PushAnswer::Failed(why, None),
                None => classify(&response, is_awtrix),
            },
            Err(why) => PushAnswer::Unreachable(why),
        }
    }

    fn succeeded(&mut self, context: &OutputContext, now: Moment) {
        self.failures = 0;
        context.status.sent(1, now);
    }

    fn failed(&mut self, answer: PushAnswer, context: &OutputContext, now: Moment) {
        if context.stop.is_stopping() {
            return;
        }
        if matches!(answer, PushAnswer::Unreachable(_)) {
            self.queue.forget();
        }
        context.status.failed(answer.text(), now);
        let pause = BackOff::new(limits::OUTPUT_BACK_OFF).pause(self.failures);
        let asked = match answer {
            PushAnswer::Failed(_, Some(asked)) => asked.min(limits::MAX_PUSH_LIFETIME),
            _ => Duration::ZERO,
        };
        let pause = pause.max(asked);
        self.failures = self.failures.saturating_add(1);
        self.paused_until = now.mono.after(pause);
    }

    /// What a person should know though it works.
    fn note(&self, context: &OutputContext) {
        let left_out = self.current.as_ref().map_or(0, |it| it.left_out);
        let left_out = (left_out > 0).then(|| {
            let keys = count_noun(left_out, "key");
            format!("there is no room for {keys}: name fewer in `keys`")
        });
        let refused = self.refused.as_ref().map(|(about, why)| match &**about {
            "" => why.clone(),
            about => format!("{about}: {why}"),
        });
        let note: Vec<String> = refused.into_iter().chain(left_out).collect();
        let note = (!note.is_empty()).then(|| note.join("; "));
        context.status.note(note.as_deref());
    }
}

impl Output for PushOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn destination(&self) -> String {
        self.origin.clone()
    }

    fn follows(&self) -> Follows {
        Follows::Snapshots
    }

    fn run(&mut self, context: &OutputContext) {
        if matches!(self.receiver, PushReceiver::Awtrix(_)) {
            let now = context.clock.now().mono;
            self.clear_at = Some(now.after(limits::PUSH_CLEAR_AFTER));
        }
        let (mut wait, mut seen) = (Duration::ZERO, 0);
        while context.stop.wait_or_wake(wait, &mut seen) != WakeReason::Stop {
            wait = self.step(context);
        }
    }

    fn check(&self) -> Result<String, String> {
        let question = match &self.receiver {
            PushReceiver::Awtrix(display) => display.stats(),
            // What the address itself does when it is called is not known.
            _ => PushMessage {
                method: Method::GET,
                url: format!("{}/", self.origin),
                headers: self.headers.clone(),
                ..PushMessage::default()
            },
        };
        let is_awtrix = matches!(self.receiver, PushReceiver::Awtrix(_));
        match self.request(&question, &StopToken::default()) {
            PushAnswer::Accepted(stats) if is_awtrix => match awtrix::version(&stats) {
                Some(version) => Ok(format!("AWTRIX {version}")),
                None if stats.trim_start().starts_with('{') => Ok("it answers".to_owned()),
                None => Err(
                    "it answers, but not as AWTRIX 3 does: is `url` the address of the display?"
                        .to_owned(),
                ),
            },
            PushAnswer::Refused(why) | PushAnswer::Failed(why, _) if is_awtrix => Err(why),
            PushAnswer::Unreachable(why) => Err(why),
            _ => Ok("it can be reached; whether it takes what is sent is not tried".to_owned()),
        }
    }
}

#[cfg(test)]
#[path = "push/tests/push.rs"]
mod tests;
