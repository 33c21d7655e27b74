"""Sixty well-known drugs as SMILES, to train tiny generators on."""

from __future__ import annotations

DRUGS = (
    "CC(=O)Oc1ccccc1C(=O)O", "CC(=O)Nc1ccc(O)cc1", "CC(C)Cc1ccc(C(C)C(=O)O)cc1", "COc1ccc2cc(C(C)C(=O)O)ccc2c1",
    "OC(=O)Cc1ccccc1Nc1c(Cl)cccc1Cl", "Cn1c(=O)c2c(ncn2C)n(C)c1=O", "CN1CCCC1c1cccnc1", "CCN(CC)CC(=O)Nc1c(C)cccc1C",
    "CCOC(=O)c1ccc(N)cc1", "CN(C)C(=N)NC(=N)N", "CNCCC(Oc1ccc(C(F)(F)F)cc1)c1ccccc1", "CNC1CCC(c2ccc(Cl)c(Cl)c2)c2ccccc21",
    "Fc1ccc(C2CCNCC2COc2ccc3c(c2)OCO3)cc1", "CN(C)CCCC1(c2ccc(F)cc2)OCc2cc(C#N)ccc21", "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1",
    "CC(C)NCC(O)COc1cccc2ccccc12", "CC(C)NCC(O)COc1ccc(CC(N)=O)cc1", "COCCc1ccc(OCC(O)CNC(C)C)cc1",
    "CCCc1nn(C)c2c1nc([nH]c2=O)-c1ccccc1OCC", "CCOC(=O)C1=C(C)NC(C)=C(C(=O)OC)C1c1ccccc1Cl", "NC(=O)c1cnccn1", "NNC(=O)c1ccncc1",
    "Cc1ncc([N+](=O)[O-])n1CCO", "Nc1ccc(S(N)(=O)=O)cc1", "Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1", "COc1cc(Cc2cnc(N)nc2N)cc(OC)c1OC",
    "O=C(O)c1cn(C2CC2)c2cc(N3CCNCC3)c(F)cc2c1=O", "Nc1nc(=O)c2ncn(COCCO)c2[nH]1", "Cc1cn(C2C=CC(CO)O2)c(=O)[nH]c1=O", "NC12CC3CC(CC(C3)C1)C2",
    "CN1c2ccc(Cl)cc2C(c2ccccc2)=NCC1=O", "OC1N=C(c2ccccc2)c2cc(Cl)ccc2NC1=O", "CCC1(c2ccccc2)C(=O)NC(=O)NC1=O", "NC(=O)N1c2ccccc2C=Cc2ccccc21",
    "O=C1NC(=O)C(c2ccccc2)(c2ccccc2)N1", "CCCC(CCC)C(=O)O", "NCC1(CC(=O)O)CCCCC1", "CN1CCC23c4c5ccc(O)c4OC2C(O)C=CC3C1C5",
    "CCC(=O)N(c1ccccc1)C1CCN(CCc2ccccc2)CC1", "CCC(=O)C(CC(C)N(C)C)(c1ccccc1)c1ccccc1", "CN(C)CC1CCCCC1(O)c1cccc(OC)c1",
    "CC(C)(C)c1ccc(C(O)CCCN2CCC(C(O)(c3ccccc3)c3ccccc3)CC2)cc1", "CN(C)CCOC(c1ccccc1)c1ccccc1", "OCCOCCN1CCN(C(c2ccccc2)c2ccc(Cl)cc2)CC1",
    "CCN(CC)CCNC(=O)c1cc(Cl)c(N)cc1OC", "COc1ccc2[nH]c(S(=O)Cc3ncc(C)c(OC)c3C)nc2c1", "CNC(=C[N+](=O)[O-])NCCSCc1ccc(CN(C)C)o1",
    "NS(=O)(=O)c1cc2c(cc1Cl)NCNS2(=O)=O", "NS(=O)(=O)c1cc(C(=O)O)c(NCc2ccco2)cc1Cl", "CCCCc1nc(Cl)c(CO)n1Cc1ccc(-c2ccccc2-c2nn[nH]n2)cc1",
    "CC(Cc1ccc(O)c(O)c1)(NN)C(=O)O", "NC(Cc1ccc(O)c(O)c1)C(=O)O", "CC(=O)CC(c1ccccc1)c1c(O)c2ccccc2oc1=O", "CC(C)OC(=O)C(C)(C)Oc1ccc(C(=O)c2ccc(Cl)cc2)cc1",
    "Clc1ccccc1C(c1ccccc1)(c1ccccc1)n1ccnc1", "OC(Cn1cncn1)(Cn1cncn1)c1ccc(F)cc1F", "O=C1CN=C(c2ccccn2)c2cc(Br)ccc2N1",
    "Cc1ccc(-c2cc(C(F)(F)F)nn2-c2ccc(S(N)(=O)=O)cc2)cc1",
    "CC1=C(C(=O)Nc2ccccc2)SCCO1", "C#CCN(C)C(C)Cc1ccccc1",
)  # fmt: skip
