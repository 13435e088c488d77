"""诊疗科目: the catalogue of departments an institution can be licensed for, as shown in forms."""

from collections.abc import Mapping

LABELS: Mapping[str, tuple[str, str]] = {
    "01": ("预防保健科", "Preventive care"),
    "02": ("全科医疗科", "General practice"),
    "03": ("内科", "Internal medicine"),
    "03.01": ("呼吸内科", "Respiratory medicine"),
    "03.02": ("消化内科", "Gastroenterology"),
    "03.03": ("神经内科", "Neurology"),
    "03.04": ("心血管内科", "Cardiology"),
    "03.05": ("血液内科", "Haematology"),
    "03.06": ("肾病学", "Nephrology"),
    "03.07": ("内分泌科", "Endocrinology"),
    "03.08": ("免疫学", "Immunology"),
    "03.10": ("老年病科", "Geriatrics"),
    "04": ("外科", "Surgery"),
    "04.03": ("骨科", "Orthopaedics"),
    "04.04": ("泌尿外科", "Urology"),
    "04.05": ("胸外科", "Thoracic surgery"),
    "05": ("妇产科", "Obstetrics and gynaecology"),
    "07": ("儿科", "Paediatrics"),
    "10": ("眼科", "Ophthalmology"),
    "11": ("耳鼻咽喉科", "Ear, nose and throat"),
    "12": ("口腔科", "Dentistry"),
    "13": ("皮肤科", "Dermatology"),
    "15": ("精神科", "Psychiatry"),
    "16": ("传染科", "Infectious diseases"),
    "19": ("肿瘤科", "Oncology"),
    "21": ("康复医学科", "Rehabilitation"),
    "32": ("医学影像科", "Medical imaging"),
    "50": ("中医科", "Traditional Chinese medicine"),
}


def label(code: str | None) -> tuple[str, str]:
    """(zh, en); an unknown code is shown as it is."""
    return LABELS.get(code or "", (code or "", code or ""))
