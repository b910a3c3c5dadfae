"""The Python program before main-node, for the story `predecessor`: FastAPI and SQLAlchemy, which store what is posted in the
table `records` that both share. predecessor.py PORT DATABASE. Runs in the venv `fastapi`."""

import sys
from datetime import datetime
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import JSON, DateTime, Float, String, create_engine, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Record(Base):
    __tablename__ = "records"
    id: Mapped[int] = mapped_column(primary_key=True)
    # In SQLite a text without an offset, with microseconds.
    timestamp: Mapped[datetime] = mapped_column(DateTime, index=True)
    key: Mapped[str] = mapped_column(String, index=True)
    value: Mapped[float | None] = mapped_column(Float)
    # Without a value the JSON text `null`, not NULL.
    meta: Mapped[Any | None] = mapped_column(JSON)


class Reading(BaseModel):
    timestamp: datetime
    key: str
    value: float | None = None
    meta: dict[str, Any] | None = None


app = FastAPI()
engine = create_engine(f"sqlite:///{sys.argv[2]}")


@app.post("/records", status_code=201)
def store(readings: list[Reading]) -> int:
    with Session(engine) as session:
        session.execute(insert(Record), [reading.model_dump() for reading in readings])
        session.commit()
    return len(readings)


if __name__ == "__main__":
    Base.metadata.create_all(engine)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
