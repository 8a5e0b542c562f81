"""The way to the signed doors: ``path("durable/", include("django_durable.urls"))``.

A door that ``settings.DURABLE`` does not open answers 404.
"""

from django.urls import path

from django_durable.doors.answering import answer
from django_durable.doors.webhook import receive

app_name = "django_durable"

urlpatterns = [
    path("answer/", answer, name="answer"),
    path("events/<str:execution>/<path:name>", receive, name="event"),
    path("<str:durable>/events/<str:execution>/<path:name>", receive, name="event"),
]
