"""Pages of people, access and tokens."""

from django.urls import path

import web.file_tables  # noqa: F401  says what 'file_form' in an address is, by being imported
from accounts.views.language import language
from accounts.views.people import new_password, people, people_file, person
from accounts.views.setup import setup
from accounts.views.tokens import count_signal, revoke, token, tokens, tokens_file
from accounts.views.trail import audit_csv, audit_trail, audit_xlsx

urlpatterns = [
    path("language/", language, name="language"),
    path("setup/<str:link>/", setup, name="setup"),
    path("tokens/", tokens, name="tokens"),
    path("tokens/tokens.<file_form:form>", tokens_file, name="tokens_file"),
    path("tokens/<int:pk>/", token, name="token"),
    path("tokens/<int:pk>/signal/", count_signal, name="count_signal"),
    path("tokens/<int:pk>/revoke/", revoke, name="revoke_token"),
    path("settings/people/", people, name="people"),
    path("settings/people/people.<file_form:form>", people_file, name="people_file"),
    path("settings/people/<int:pk>/", person, name="person"),
    path("settings/people/<int:pk>/password/", new_password, name="new_password"),
    path("settings/audit/", audit_trail, name="audit"),
    path("settings/audit/audit-trail.csv", audit_csv, name="audit_csv"),
    path("settings/audit/audit-trail.xlsx", audit_xlsx, name="audit_xlsx"),
]
