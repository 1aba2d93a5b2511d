"""The AI Office's template: its headings, and the questions under each, in its order.

Public summary of training content, Art. 53(1)(d) of Regulation (EU) 2024/1689, 24 July 2025.
"""

HEADINGS = {
    "1.1": "Provider identification",
    "1.2": "Model identification",
    "1.3": "Modalities, overall training data size and other characteristics",
    "2.1": "Publicly available datasets",
    "2.2.1": (
        "Private non-publicly available datasets obtained from third parties: datasets "
        "commercially licensed by rightsholders or their representatives"
    ),
    "2.2.2": "Private datasets obtained from other third parties",
    "2.3": "Data crawled and scraped from online sources",
    "2.4": "User data",
    "2.5": "Synthetic data",
    "2.6": "Other sources of data",
    "3.1": "Respect of reservation of rights from text and data mining exception or limitation",
    "3.2": "Removal of illegal content",
    "3.3": "Other information",
}
QUESTIONS = {
    "provider": "Provider name and contact details",
    "representative": "Authorised representative name and contact details",
    "names": "Versioned model name(s)",
    "dependencies": "Model dependencies",
    "placed_on_market": "Date of placement of the model on the Union market",
    "modality": "Modality",
    "size": "Training data size",
    "content_types": "Types of content",
    "latest": "Latest date of data acquisition/collection for model training",
    "continuous": "Is the model continuously trained on new data after this date?",
    "languages": "Linguistic characteristics of the overall training data",
    "characteristics": "Other relevant characteristics of the overall training data",
    "public": "Have you used publicly available datasets to train the model?",
    "licensed": (
        "Have you concluded transactional commercial licensing agreement(s) with rightsholder(s) "
        "or with their representatives?"
    ),
    "covered": "Modality(ies) of the content covered",
    "kinds": "By kind of rightsholder (a recording may need several)",
    "third_parties": (
        "Have you obtained private datasets from third parties that are not licensed as "
        "described in Section 2.2.1?"
    ),
    "crawlers": "Were crawlers used by the provider or on behalf of the provider?",
    "interactions": ("Was data from user interactions with the AI model used to train the model?"),
    "services": (
        "Was data collected from user interactions with the provider's other services or "
        "products used to train the model?"
    ),
    "synthetic": (
        "Was synthetic AI-generated data created by the provider or on their behalf to train "
        "the model?"
    ),
    "other_sources": (
        "Have data sources other than those described in Sections 2.1 to 2.5 been used to train "
        "the model?"
    ),
    "signatory": (
        "Are you a signatory to the Code of Practice for general-purpose AI models that includes "
        "commitments to respect reservations of rights?"
    ),
    "measures": "Measures implemented before model training",
    "reservations": "Additional comments",
    "illegal_content": "General description of measures taken",
    "other_processing": "Other relevant information about data processing",
}
