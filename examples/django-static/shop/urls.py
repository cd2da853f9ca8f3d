"""The project's only page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path


def index(request: HttpRequest) -> HttpResponse:
    return render(request, "index.html")


urlpatterns = [path("", index)]
