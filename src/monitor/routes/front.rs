//! What the gate asks, answered by [`Monitor`].

use crate::monitor::App;
use crate::monitor::http::handler::{Dispatch, Handler, Overload, Request, Response};

impl Handler for App {
    fn dispatch(&self, request: &Request) -> Dispatch {
        // Before what the answer is made of, so that what is published meanwhile ends it.
        let generation = self.generation();
        if let Some(answer) = self.respond_from_memory(request) {
            return match self.is_cacheable(request, &answer) {
                true => Dispatch::Cacheable(answer, generation),
                false => Dispatch::Immediate(answer),
            };
        }
        match self.is_event_stream(request) {
            // The gate writes the media type and the caching itself.
            true => Dispatch::EventStream(
                self.event_stream_headers()
                    .into_iter()
                    .filter(|(name, _)| !matches!(*name, "Content-Type" | "Cache-Control"))
                    .collect(),
            ),
            false => Dispatch::Worker,
        }
    }

    fn options(&self, request: &Request) -> Response {
        App::options_response(self, request)
    }

    fn generation(&self) -> u64 {
        self.context.published.edition()
    }

    fn on_cache_hit(&self, request: &Request, etag: &str) {
        self.record_poll(request, etag);
    }

    fn render(&self, request: &Request) -> Response {
        App::respond(self, request)
    }

    fn overloaded(&self, limit: Overload, request: Option<&Request>) -> Response {
        App::overload_response(self, limit, request)
    }

    fn rejection(&self, status: u16, request: Option<&Request>) -> Response {
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
