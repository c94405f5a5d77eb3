"""The floor: the least a Django REST framework view can do that keeps an answer, under the product's own server and settings.

No authentication, no permissions, no validation beyond JSON: one INSERT.
"""

from django.db import connection
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

TABLE = "CREATE TABLE IF NOT EXISTS benchmark_floor (id bigserial PRIMARY KEY, body text NOT NULL, at timestamptz DEFAULT now())"


class Floor(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO benchmark_floor (body) VALUES (%s) RETURNING id", [request.data["text"]])
            [key] = cursor.fetchone()
        return Response({"id": key}, status=201)


urlpatterns = [path("floor", Floor.as_view())]
