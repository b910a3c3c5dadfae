"""A GraphQL server (strawberry on uvicorn) for the story of peers: graphql_server.py PORT. Runs in the venv `graphql`."""

import sys

import strawberry
import uvicorn
from strawberry.asgi import GraphQL


@strawberry.type
class Sensor:
    name: str
    temperature: float


@strawberry.type
class Query:
    @strawberry.field
    def sensors(self, floor: int) -> list[Sensor]:
        return [Sensor(name="kitchen", temperature=21.4), Sensor(name="hall", temperature=18.5 + floor)]


if __name__ == "__main__":
    schema = GraphQL(strawberry.Schema(query=Query), allow_queries_via_get=False)
    uvicorn.run(schema, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
