//! What the gate asks, answered by [`Monitor`].

use crate::monitor::App;
use crate::monitor::http::handler::{Answer, Answerer, Overload, Request, Way};

impl Answerer for App {
    fn way(&self, request: &Request) -> Way {
        // Before what the answer is made of, so that what is published meanwhile ends it.
        let edition = self.edition();
        if let Some(answer) = self.respond_from_memory(request) {
            return match self.is_cacheable(request, &answer) {
                true => Way::Standing(answer, edition),
                false => Way::Now(answer),
            };
        }
        match self.is_event_stream(request) {
            // The gate writes the media type and the caching itself.
            true => Way::Events(
                self.event_stream_headers()
                    .into_iter()
                    .filter(|(name, _)| !matches!(*name, "Content-Type" | "Cache-Control"))
                    .collect(),
            ),
            false => Way::Pool,
        }
    }

    fn options(&self, request: &Request) -> Answer {
        App::options_response(self, request)
    }

    fn edition(&self) -> u64 {
        self.context.published.edition()
    }

    fn asked_again(&self, request: &Request, etag: &str) {
        self.record_poll(request, etag);
    }

    fn cold(&self, request: &Request) -> Answer {
        App::respond(self, request)
    }

    fn overloaded(&self, limit: Overload, request: Option<&Request>) -> Answer {
        App::overload_response(self, limit, request)
    }

    fn refusal(&self, status: u16, request: Option<&Request>) -> Answer {
        App::rejection_response(self, status, request)
    }

    // From a clock that cannot be believed a date would only mislead (RFC 9110, 6.6.1);
    // from one that can it lets a node that follows this one trust its own.
    fn date(&self) -> Option<String> {
        self.http_date()
    }

    fn route_name(&self, request: &Request) -> &'static str {
        App::route_name(request)
    }
}
