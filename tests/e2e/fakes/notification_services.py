"""Fake notification services on loopback, written from their public documentation: as strict about requests as the
services are. Each judge answers as its service does, and notes in `request.shown` what a person would see."""

import email.header
import json
import re

from fakes.vendors import Answer

NTFY_TOKEN = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"
GOTIFY_TOKEN = "AbCdEf123456789"
TELEGRAM_TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
PUSHOVER_TOKEN, PUSHOVER_USER = "azGDORePK8gMaC0QOYAMyEEuzJnyUi", "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"
HASS_TOKEN = "eyJhbGciOiJIUzI1NiJ9.long-lived"
MATRIX_TOKEN = "syt_bWFpbg_token"


def media_type(request):
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def json_body(request):
    if media_type(request) != "application/json":
        raise ValueError(f"Content-Type {media_type(request)}")
    value = json.loads(request.body)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def utf16(text):
    return len(text.encode("utf-16-le")) // 2


def ntfy(request):
    """https://docs.ntfy.sh/publish/: POST or PUT to the topic, the body is the message."""
    if request.headers.get("authorization") != f"Bearer {NTFY_TOKEN}":
        return Answer({"code": 40301, "http": 403, "error": "forbidden"}, status=403)
    if request.method not in ("POST", "PUT") or not re.fullmatch(r"/[-_A-Za-z0-9]{1,64}", request.path):
        return Answer({"code": 40009, "http": 400, "error": "invalid request: topic invalid"}, status=400)
    if len(request.body) > 4096:
        request.shown = {"text": "You received a file: attachment.txt"}
        return Answer({"id": "x", "event": "message", "attachment": {"name": "attachment.txt"}})
    header = lambda name: str(email.header.make_header(email.header.decode_header(request.headers.get(name, ""))))
    priority = request.headers.get("priority", "3")
    if priority not in ("1", "2", "3", "4", "5", "min", "low", "default", "high", "max", "urgent"):
        return Answer({"code": 40007, "http": 400, "error": "invalid request: priority invalid"}, status=400)
    request.shown = {
        "title": header("title"), "text": request.body.decode().strip(), "priority": priority,
        "tags": header("tags").split(","), "link": header("click"),
    }
    return Answer({"id": "hwQ2YpKdmg", "time": 1635528741, "event": "message", "topic": request.path[1:]})


def gotify(request):
    """https://gotify.net/api-docs: POST /message with an application's token."""
    token = request.headers.get("x-gotify-key") or request.query.get("token")
    if token != GOTIFY_TOKEN:
        return Answer({"error": "Unauthorized", "errorCode": 401, "errorDescription": "you need to provide a valid access token or user credentials to access this api"}, status=401)
    if (request.method, request.path) != ("POST", "/message"):
        return Answer({"error": "Not Found", "errorCode": 404}, status=404)
    body = json_body(request)
    if not isinstance(body.get("message"), str) or not body["message"]:
        return Answer({"error": "Bad Request", "errorCode": 400, "errorDescription": "Field 'message' is required"}, status=400)
    extras = body.get("extras", {})
    request.shown = {
        "title": body.get("title"), "text": body["message"], "priority": int(body.get("priority", 0)),
        "markdown": extras.get("client::display", {}).get("contentType") == "text/markdown",
        "link": extras.get("client::notification", {}).get("click", {}).get("url"),
    }
    return Answer({"id": 25, "appid": 5, "message": body["message"], "date": "2018-02-27T19:36:10Z"})


def slack(request):
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: `text`; & < > are controls."""
    if request.method != "POST":
        return Answer(b"invalid_payload", status=400, content_type="text/html")
    body = json_body(request)
    text = body.get("text")
    if not text:
        return Answer(b"no_text", status=400, content_type="text/html")
    commands = re.findall(r"<[^>]*>", text)
    plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    request.shown = {"text": plain, "mentions": commands, "markup": body.get("mrkdwn", True), "length": len(text)}
    return Answer(b"ok", content_type="text/html")


def discord(request):
    """https://docs.discord.com/developers/resources/webhook#execute-webhook"""
    body = json_body(request)
    content = body.get("content") or ""
    if not content and not body.get("embeds"):
        return Answer({"message": "Cannot send an empty message", "code": 50006}, status=400)
    if len(content) > 2000:
        return Answer({"content": ["Must be 2000 or fewer in length."]}, status=400)
    allowed = body.get("allowed_mentions", {"parse": ["everyone", "roles", "users"]})
    unescaped = re.sub(r"\\([\\*_~`|<>\[\]#+-])", "\0", content)
    request.shown = {
        "text": re.sub(r"\\([\\*_~`|<>\[\]#+-])", r"\1", content),
        "pings": [it for it in re.findall(r"@everyone|@here|<@[!&]?\d+>", unescaped) if allowed["parse"]],
        "markup": re.findall(r"(?:\*\*|__|~~|`|\|\||\[[^\]]*\]\(|^#+ |^> )", re.sub(r"^\*\*.*?\*\*\n", "", unescaped), re.MULTILINE),
        "previews": not body.get("flags", 0) & 4,
    }
    return Answer(b"", status=204) if request.query.get("wait") != "true" else Answer({"id": "1", "content": content})


def telegram(request):
    """https://core.telegram.org/bots/api#sendmessage; parameters of the query count as well."""
    if request.path != f"/bot{TELEGRAM_TOKEN}/sendMessage":
        return Answer({"ok": False, "error_code": 404, "description": "Not Found"}, status=404)
    body = {**request.query, **json_body(request)}

    def refuse(why):
        return Answer({"ok": False, "error_code": 400, "description": f"Bad Request: {why}"}, status=400)

    chat = str(body.get("chat_id", ""))
    if not re.fullmatch(r"-?\d+|@\w+", chat):
        return refuse("chat_id is empty" if not chat else "chat not found")
    if not body.get("text"):
        return refuse("message text is empty")
    if utf16(body["text"]) > 4096:
        return refuse("message is too long")
    mentions = re.findall(r"(?<!\w)@\w{4,}", body["text"])
    request.shown = {
        "chat": chat, "text": body["text"], "mentions": mentions, "markup": "parse_mode" in body,
        "preview": not body.get("link_preview_options", {}).get("is_disabled"), "silent": body.get("disable_notification", False),
    }
    return Answer({"ok": True, "result": {"message_id": 1}})


def pushover(request):
    """https://pushover.net/api"""
    if (request.method, request.path) != ("POST", "/1/messages.json"):
        return Answer({"status": 0, "errors": ["unknown method"]}, status=404)
    body = {**request.query, **json_body(request)}
    errors = []
    if body.get("token") != PUSHOVER_TOKEN:
        errors.append("application token is invalid")
    if body.get("user") != PUSHOVER_USER:
        errors.append("user identifier is not a valid user, group, or subscribed user key")
    if not body.get("message"):
        errors.append("message cannot be blank")
    for name, most in (("message", 1024), ("title", 250), ("url", 512)):
        if len(body.get(name, "")) > most:
            errors.append(f"{name} is too long")
    priority = int(body.get("priority", 0))
    if not -2 <= priority <= 2:
        errors.append("priority is invalid")
    if priority == 2 and not ("retry" in body and "expire" in body):
        errors.append("retry and expire are needed with priority 2")
    if errors:
        return Answer({"status": 0, "errors": errors}, status=400)
    request.shown = {
        "title": body["title"], "text": body["message"], "link": body.get("url"), "priority": priority,
        "html": str(body.get("html", 0)) == "1",
    }
    return Answer({"status": 1, "request": "647d2300-702c-4b38-8b2f-d56326ae460b"})


def apprise_api(request):
    """https://github.com/caronc/apprise-api: POST /notify/KEY; an unknown key is answered 204."""
    found = re.fullmatch(r"/notify/([\w-]{1,128})/?", request.path)
    if request.method != "POST" or not found:
        return Answer({"error": "Not Found"}, status=404)
    body = json_body(request)
    if not body.get("body"):
        return Answer({"error": "Bad FORM Payload provided"}, status=400)
    if body.get("type", "info") not in ("info", "success", "warning", "failure"):
        return Answer({"error": "An invalid notification type was specified"}, status=400)
    if body.get("format", "text") not in ("text", "markdown", "html"):
        return Answer({"error": "An invalid body input format was specified"}, status=400)
    if found[1] != "main":
        return Answer(b"", status=204)
    if body.get("tag") not in (None, "phone"):
        return Answer({"error": "There were no services to notify"}, status=424)
    request.shown = {"title": body.get("title"), "text": body["body"], "kind": body.get("type"), "format": body.get("format")}
    return Answer({"error": None})


def home_assistant(request):
    """https://www.home-assistant.io/docs/automation/trigger/#webhook-trigger: any JSON; actions are strict."""
    if request.path.startswith("/api/services/"):
        if request.headers.get("authorization") != f"Bearer {HASS_TOKEN}":
            return Answer(b"401: Unauthorized", status=401, content_type="text/plain")
        body = json_body(request)
        if not set(body) <= {"title", "message", "target", "data"} or "message" not in body:
            return Answer(b"400: Bad Request", status=400, content_type="text/plain")
    elif request.path.startswith("/api/webhook/"):
        body = json_body(request)
    else:
        return Answer(b"404: Not Found", status=404, content_type="text/plain")
    request.shown = {"title": body.get("title"), "text": body["message"], "level": body.get("level"), "link": body.get("page")}
    return Answer(b"")


def teams(request):
    """A workflow “When a Teams webhook request is received”: a message with an adaptive card."""
    body = json_body(request)
    attachments = body.get("attachments")
    if body.get("type") != "message" or not attachments:
        return Answer({"error": {"code": "TriggerInputSchemaMismatch"}}, status=400)
    card = attachments[0]
    if card.get("contentType") != "application/vnd.microsoft.card.adaptive" or card["content"]["type"] != "AdaptiveCard":
        return Answer({"error": {"code": "BadRequest"}}, status=400)
    runs = []
    for element in card["content"]["body"]:
        # A TextBlock has Markdown, a TextRun has none.
        if element["type"] != "RichTextBlock":
            raise ValueError(element["type"])
        runs += [run["text"] for run in element["inlines"]]
    request.shown = {"text": "\n".join(runs), "link": card["content"]["actions"][0]["url"]}
    return Answer(b"", status=202)


def matrix(request):
    """https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid"""
    found = re.fullmatch(r"/_matrix/client/v3/rooms/([^/]+)/send/m\.room\.message/([^/]+)", request.path)
    if request.method != "PUT" or not found:
        return Answer({"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}, status=405)
    if request.headers.get("authorization") != f"Bearer {MATRIX_TOKEN}":
        return Answer({"errcode": "M_UNKNOWN_TOKEN", "error": "Unrecognised access token."}, status=401)
    body = json_body(request)
    if body.get("msgtype") not in ("m.text", "m.notice") or not isinstance(body.get("body"), str):
        return Answer({"errcode": "M_BAD_JSON", "error": "'body' not in content"}, status=400)
    request.shown = {"room": found[1], "id": found[2], "text": body["body"]}
    return Answer({"event_id": "$x"})


def google_chat(request):
    """https://developers.google.com/workspace/chat/quickstart/webhooks: unknown names are errors."""
    body = json_body(request)
    known = {"text", "cards", "cardsV2", "thread", "fallbackText", "formattedText", "accessoryWidgets"}
    unknown = sorted(set(body) - known)
    if unknown:
        message = f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
        return Answer({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}, status=400)
    if len(body["text"].encode()) > 32_000:
        return Answer({"error": {"code": 400, "message": "Message is too long"}}, status=400)
    request.shown = {"text": body["text"], "mentions": re.findall(r"<users/[^>]*>", body["text"])}
    return Answer({"name": "spaces/A/messages/B"})
