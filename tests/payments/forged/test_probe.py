from decimal import Decimal
from tests.payments.forged.kit import Scene
async def test_honest(scene: Scene) -> None:
    inv = await scene.buys(1001)
    sol = await scene.buys(1002, "buysolana:pro:1:sol")
    scene.chain.pays_usdc(int(inv.amount * 10**6))
    scene.chain.pays_sol(int(sol.amount * 10**9), by_table=[sol.reference], within=True)
    await scene.paid(inv); await scene.paid(sol)
    now = await scene.buys(1003, "buycoin:pro:1:btc")
    st = await scene.buys(1004, "buystars:pro:12")
    print(now, st)
    page, text = await scene.gets(f"/pay/{inv.id}:version")
    print(page.status, text[:200])
    await scene.read_to_the_end()
