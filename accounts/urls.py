"""Pages of people, access and tokens."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
