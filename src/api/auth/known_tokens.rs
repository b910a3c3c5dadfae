//! Known tokens: the present one and some earlier ones, which no message may show.

use std::sync::Arc;

use crate::domain::redact::Secrets;
use crate::limits;
use crate::sys::sync::Mutex;

#[derive(Default)]
pub struct KnownTokens {
    state: Mutex<MaskedTokens>,
}

#[derive(Default)]
struct MaskedTokens {
    /// The newest is the last.
    texts: Vec<String>,
    secrets: Arc<Secrets>,
}

impl KnownTokens {
    pub fn add<'a>(&self, tokens: impl IntoIterator<Item = &'a str>) {
        let mut state = self.state.lock();
        for token in tokens {
            state.texts.retain(|it| it != token);
            state.texts.push(token.to_owned());
        }
        let surplus = state.texts.len().saturating_sub(limits::MASKED_TOKENS);
        state.texts.drain(..surplus);
        state.secrets = Arc::new(Secrets::new(state.texts.iter().cloned()));
    }

    pub fn secrets(&self) -> Arc<Secrets> {
        self.state.lock().secrets.clone()
    }
}
