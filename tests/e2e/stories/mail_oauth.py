"""Mail with OAuth 2.0: login by XOAUTH2 and OAUTHBEARER, tokens that expire or are refused, and a
token server that is down. The cases are in mail_oauth_cases.py."""

from harness import story
from stories.mail import run_cases


# The longest case waits for the first retry of an alert, after a minute.
@story(seconds=240)
def mail_oauth():
    run_cases("mail_oauth_cases.py")
