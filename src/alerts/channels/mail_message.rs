//! MIME message of one mail: headers, text and HTML.

use mail_send::mail_builder::MessageBuilder;
use mail_send::mail_builder::headers::HeaderType;
use mail_send::mail_builder::headers::address::Address;
use mail_send::mail_builder::headers::content_type::ContentType;
use mail_send::mail_builder::headers::date::Date;
use mail_send::mail_builder::headers::message_id::MessageId;
use mail_send::mail_builder::headers::raw::Raw;
use mail_send::mail_builder::mime::MimePart;

use crate::alerts::message::{Message, SenderInfo, one_line};
use crate::config::Mailbox;
use crate::domain::time::Wall;

/// The envelope of one mail.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    pub message_id: &'a str,
    pub from: &'a Mailbox,
    pub to: &'a [Mailbox],
    pub date: Wall,
}

/// The whole mail, as it goes over the wire.
pub fn mime_message(message: &Message, envelope: &Envelope<'_>, sender: &SenderInfo) -> Vec<u8> {
    // Derived, so that a resend is byte for byte the same.
    let boundary = format!("part_{}", envelope.message_id.replace(['@', '<', '>'], "_"));
    let body = MimePart::new(
        ContentType::new("multipart/alternative").attribute("boundary", boundary),
        vec![
            MimePart::new("text/plain", message.text.as_str()),
            MimePart::new("text/html", message.html.as_str()),
        ],
    );
    let node = format!("main-node on {}", one_line(&sender.node));
    let from_name = envelope.from.name.as_ref().unwrap_or(&node);
    let to = envelope.to.iter();
    let to = to.map(|to| Address::new_address(to.name.as_deref(), to.address.as_str()));
    let mut builder = MessageBuilder::new()
        .from((from_name.as_str(), envelope.from.address.as_str()))
        .to(Address::new_list(to.collect()))
        .subject(message.subject.as_str())
        .message_id(envelope.message_id)
        // RFC 3834: no automatic replies.
        .header(
            "Auto-Submitted",
            HeaderType::Raw(Raw::new("auto-generated")),
        )
        .body(body);
    // A resent mail does not reference itself.
    let known: Vec<&str> = message
        .references
        .iter()
        .map(String::as_str)
        .filter(|known| *known != envelope.message_id)
        .collect();
    if let Some(first) = known.first() {
        builder = builder
            .in_reply_to(MessageId::new(*first))
            .references(MessageId::from(known));
    }
    builder = builder.date(Date::new(envelope.date.second()));
    // Writing to memory cannot fail.
    builder.write_to_vec().unwrap_or_default()
}
