//! State of an announced entity: whether it stays, is announced in another way, or is taken back.
//!
//! Pure.

use std::sync::Arc;

use super::document::AnnouncedEntity;
use crate::domain::time::Mono;
use crate::limits;

pub struct EntityState {
    pub entity: AnnouncedEntity,
    /// Announced by an earlier run.
    pub is_earlier: bool,
    pub absent_since: Option<Mono>,
    /// It is left out of the document after the next one.
    pub end: Option<EntityEnd>,
}

/// How an entity leaves its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityEnd {
    /// Home Assistant deletes it.
    TakenBack,
    /// It keeps its name, identifier and history there, for the document of another device.
    Released,
}

/// Whether an entity is announced in another way than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityChange {
    None,
    Made,
    /// It has changed lately.
    Postponed,
}

impl EntityState {
    pub fn new(entity: AnnouncedEntity, is_earlier: bool) -> EntityState {
        EntityState {
            entity,
            is_earlier,
            absent_since: None,
            end: None,
        }
    }

    /// When a key that is no more is taken back.
    pub fn give_up_at(&mut self, now: Mono) -> Mono {
        let patience = if self.is_earlier {
            limits::DISCOVERY_LEFTOVER_WAIT
        } else {
            limits::DISCOVERY_CHANGE_INTERVAL
        };
        self.absent_since.get_or_insert(now).after(patience)
    }

    /// Becomes what is wanted at its place, or is taken back for another platform.
    pub fn follow(&mut self, wanted: Option<&AnnouncedEntity>, was_changed: bool) -> EntityChange {
        self.absent_since = None;
        let is_earlier = std::mem::take(&mut self.is_earlier);
        match wanted {
            Some(wanted) if *wanted == self.entity => return EntityChange::None,
            _ if was_changed && !is_earlier => return EntityChange::Postponed,
            Some(wanted) => self.entity = wanted.clone(),
            None => self.end = Some(EntityEnd::TakenBack),
        }
        // What an earlier run announced is of its configuration.
        if is_earlier {
            EntityChange::None
        } else {
            EntityChange::Made
        }
    }

    /// As the document has it: Home Assistant removes an entity that has no option but its platform.
    pub fn options(&self) -> Arc<str> {
        match self.end {
            Some(_) => format!(r#"{{"platform":"{}"}}"#, self.entity.platform.name()).into(),
            None => self.entity.options.clone(),
        }
    }
}
