"""The outcome of an expert consult on paper and in sealed copies: 会诊意见书, packages, their making and keeping."""
