from django.urls import path

from audio_samples import (
    artist_views,
    case_views,
    copy_views,
    credential_views,
    flag_views,
    release_views,
    views,
)

app_name = "audio_samples"
urlpatterns = [
    path("newest/", views.home_fragment, name="home_fragment"),
    path("grid/", views.grid, name="grid"),
    path("of/<slug:slug>/", views.project, name="project"),
    path("of/<slug:slug>/<int:number>/", views.run_samples, name="run_samples"),
    path("mine/", artist_views.came, name="mine"),
    path("mine/model/<uuid:run_id>/", artist_views.model, name="mine_model"),
    path("mine/<int:pk>/", artist_views.sample, name="mine_sample"),
    path("mine/<int:pk>/audio", artist_views.audio, name="mine_audio"),
    path("mine/<int:pk>/flag/", artist_views.flag, name="mine_flag"),
    path("waiting/", flag_views.waiting, name="waiting"),
    path("flags/", flag_views.listed, name="flags"),
    path("flags/<int:pk>/", flag_views.one, name="flag"),
    path("flags/<int:pk>/audio", flag_views.audio, name="flag_audio"),
    path("flags/<int:pk>/uphold/", flag_views.uphold, name="flag_uphold"),
    path("flags/<int:pk>/dismiss/", flag_views.dismiss, name="flag_dismiss"),
    path("clips/", release_views.listed, name="releases"),
    path("clips/<int:pk>/", release_views.one, name="release"),
    path("clips/<int:pk>/audio", release_views.audio, name="release_audio"),
    path("cases/<int:pk>/audio", case_views.audio, name="case_audio"),
    path("clips/<int:pk>/approve/", release_views.approve, name="release_approve"),
    path("clips/<int:pk>/refuse/", release_views.refuse, name="release_refuse"),
    path("clips/<int:pk>/recall/", release_views.recall, name="release_recall"),
    path("<int:pk>/release/", release_views.ask, name="release_ask"),
    path("check/", credential_views.check, name="check"),
    path("credentials/<uuid:number>/", credential_views.credential, name="credential"),
    path(
        "credentials/<uuid:number>.c2pa", credential_views.credential_file, name="credential_file"
    ),
    path("copies/", copy_views.listed, name="copies"),
    path("copies/<int:pk>/", copy_views.one, name="copy"),
    path("copies/<int:pk>/audio", copy_views.audio, name="copy_audio"),
    path("copies/<int:pk>/confirm/", copy_views.confirm, name="copy_confirm"),
    path("copies/<int:pk>/dismiss/", copy_views.dismiss, name="copy_dismiss"),
    path("<int:pk>/", views.sample, name="sample"),
    path("<int:pk>/credits.json", views.credits_file, name="credits"),
    path("<int:pk>/credits.csv", views.credits_table, name="credits_table"),
    path("<int:pk>/audio", views.audio, name="audio"),
    path("<int:pk>/download", credential_views.download, name="download"),
    path("<int:pk>/spectrogram.png", views.spectrogram, name="spectrogram"),
]
