"""Pages of reports by mail."""

from django.urls import path

from roadmap.views import report_mail, report_unsubscribe

urlpatterns = [
    path("reports/unsubscribe/<str:token>/", report_unsubscribe.report_unsubscribe, name="report_unsubscribe"),
    path("reports/mail/<slug:scope>/<slug:name>/", report_mail.report_mail, name="report_mail"),
    path("reports/mail/<slug:scope>/<slug:name>/mine/", report_mail.report_mail_mine, name="report_mail_mine"),
    path("reports/mail/<slug:scope>/<slug:name>/add/", report_mail.report_mail_add, name="report_mail_add"),
    path("reports/subscribers/<uuid:uuid>/", report_mail.report_subscriber_change, name="report_subscriber_change"),
    path("reports/<uuid:uuid>/mailing/", report_mail.report_mailing, name="report_mailing"),
    path("reports/<uuid:uuid>/mailing/again/", report_mail.report_mailing_again, name="report_mailing_again"),
    path("reports/<uuid:uuid>/mail/", report_mail.report_mail_shown, name="report_mail_shown"),
    path("reports/<uuid:uuid>/report.eml", report_mail.report_mail_file, name="report_mail_file"),
]
