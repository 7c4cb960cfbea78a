class Branch:
    def __init__(self, name, flour):
        self.name = name
        self.flour = flour


MARKET = Branch("market", flour=5)
HARBOUR = Branch("harbour", flour=50)
BRANCHES = {branch.name: branch for branch in (MARKET, HARBOUR)}
