"""The rows this package reads and writes."""

from typing import Protocol

from audit.transaction import Repository
from consent.transaction import ConsentTransaction
from imaging.records import ImageFindings, ImageInstance, ImageSeries, ImageStudy, PacsStudy, SeriesOpening


class ImagingTransaction(ConsentTransaction, Protocol):
    image_studies: Repository[ImageStudy]
    image_series: Repository[ImageSeries]
    image_instances: Repository[ImageInstance]
    pacs_studies: Repository[PacsStudy]
    series_openings: Repository[SeriesOpening]
    image_findings: Repository[ImageFindings]
