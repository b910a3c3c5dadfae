"""Data behind a form (Flask-Login) for the story of logins: flask_login_server.py PORT. Runs in the venv `flask`."""

import sys

import flask
import flask_login

app = flask.Flask(__name__)
app.secret_key = "one"
counts = {"logins": 0, "requests": 0}
manager = flask_login.LoginManager(app)
manager.login_view = "login"


class User(flask_login.UserMixin):
    id = "me"


@manager.user_loader
def load(user):
    return User() if user == "me" else None


@app.route("/login", methods=["GET", "POST"])
def login():
    form = flask.request.form
    if form.get("username") == "me" and form.get("password") == "pä ss&=+%":
        counts["logins"] += 1
        flask_login.login_user(User())
        return flask.redirect("/")
    return "<form method=post><input name=username><input name=password type=password></form>"


@app.route("/data")
@flask_login.login_required
def data():
    counts["requests"] += 1
    flask.session["count"] = counts["requests"]
    return {"temperature": 21.5, "count": counts["requests"]}


@app.route("/forget")
def forget():
    app.secret_key = "two"
    return ""


@app.route("/logins")
def logins():
    return str(counts["logins"])


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]))
