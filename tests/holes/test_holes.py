"""Each hole of MONAI Label 0.8.5 as shipped: an attack that gets through there, and does not here.

A hole that the stock server no longer has fails its test: it then moves to `CLOSED`.
"""

from __future__ import annotations

import pytest

from tests.holes.attacks import (
    Attack,
    absolute_image,
    body_without_limit,
    file_name_that_ends_a_header,
    header_that_names_another_file,
    image_id_with_a_path,
    image_information_with_a_path,
    image_that_is_a_page,
    image_with_huge_dimensions,
    inference_that_freezes_the_server,
    label_tag_with_a_path,
    label_that_is_a_link_out,
    label_that_is_no_volume,
    label_written_through_a_link,
    labels_lost_by_a_second_upload,
    link_out_of_the_studies,
    log_with_paths,
    model_deleted,
    model_uploaded,
    next_sample_with_a_path,
    packed_image_that_unpacks_to_20_gb,
    packed_voxels_beyond_the_header,
    page_of_another_origin,
    parameters_that_are_no_json,
    params_override_the_image,
    rebound_host_name,
    reload_without_a_token,
    session_file_with_a_path,
    session_information_with_a_path,
    tar_that_unpacks_anywhere,
    unknown_image,
    unknown_model,
    zip_that_unpacks_anywhere,
)

HOLES: dict[Attack, int] = {
    inference_that_freezes_the_server: 200,
    image_id_with_a_path: 422,
    label_tag_with_a_path: 422,
    absolute_image: 404,
    params_override_the_image: 422,
    tar_that_unpacks_anywhere: 422,
    link_out_of_the_studies: 422,
    label_that_is_a_link_out: 422,
    label_written_through_a_link: 422,
    header_that_names_another_file: 422,
    label_that_is_no_volume: 422,
    image_that_is_a_page: 422,
    image_with_huge_dimensions: 422,
    packed_image_that_unpacks_to_20_gb: 422,
    packed_voxels_beyond_the_header: 422,
    body_without_limit: 413,
    reload_without_a_token: 404,
    page_of_another_origin: 403,
    rebound_host_name: 403,
    labels_lost_by_a_second_upload: 409,
    log_with_paths: 200,
    image_information_with_a_path: 200,
    session_information_with_a_path: 200,
    next_sample_with_a_path: 200,
    unknown_model: 404,
    unknown_image: 404,
    parameters_that_are_no_json: 422,
    model_uploaded: 409,
    model_deleted: 409,
}
"""Attacks, with the status that our server answers."""

CLOSED = (zip_that_unpacks_anywhere, session_file_with_a_path, file_name_that_ends_a_header)
"""Attacks that the libraries below MONAI Label stop by now."""


def name_of(attack: Attack) -> str:
    return attack.__name__


@pytest.mark.parametrize("attack", HOLES, ids=name_of)
def test_as_shipped_it_gets_through(stock, attack):
    tried = attack(stock)
    assert tried.through, f"the stock server is safe of this: {tried.response.status_code} {tried.response.text[:300]}"


@pytest.mark.parametrize("attack", HOLES, ids=name_of)
def test_here_it_does_not(ours, attack):
    tried = attack(ours)
    assert not tried.through, tried.response.text[:300]
    assert tried.response.status_code == HOLES[attack], tried.response.text[:300]
    if tried.response.status_code >= 400:
        assert tried.response.headers["content-type"] == "application/problem+json"
        assert str(ours.home) not in tried.response.text


@pytest.mark.parametrize("attack", CLOSED, ids=name_of)
def test_closed_by_libraries(stock, ours, attack):
    assert not attack(stock).through
    tried = attack(ours)
    assert not tried.through
    assert tried.response.status_code == 422
