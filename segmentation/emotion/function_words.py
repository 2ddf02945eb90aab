"""Small words that give a language away. Own lists, the commonest of each language.

A word may stand in several lists ("no", "a", "die"): it then counts for each in part.
"""

from typing import Final

NAMES: Final[dict[str, str]] = {
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "de": "German",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "sv": "Swedish",
    "da": "Danish",
    "no": "Norwegian",
    "fi": "Finnish",
    "pl": "Polish",
    "cs": "Czech",
    "hu": "Hungarian",
    "ro": "Romanian",
    "tr": "Turkish",
    "id": "Indonesian",
    "ru": "Russian",
    "uk": "Ukrainian",
    "el": "Greek",
    "ar": "Arabic",
    "fa": "Persian",
    "he": "Hebrew",
    "hi": "Hindi",
    "th": "Thai",
    "ja": "Japanese",
    "zh": "Chinese",
    "ko": "Korean",
}

_LISTS: Final[dict[str, str]] = {
    "en": """
        the a an and or but if then than so of to in on at by for from with without
        about into over under after before between through during until while
        because since i you he she it we they me him her us them my your his its our
        their mine yours this that these those who what which when where why how is
        are was were be been being am do does did done have has had having will
        would can could should may might must shall not no nor never always ever
        again very too also just only even still yet already here there now all any
        both each few more most other some such one two three first last out up down
        off back away really much many lot well good great best better bad worse
        worst nice love loved like liked hate works work worked working want wanted
        need needed get got getting gets go going gone went make made take took give
        gave buy bought use used using thing things time times day days week year
        years product item order ordered price money quality refund return returned
        delivery shipping service customer support email please thanks thank sorry
        hello hi hey dear yes don't doesn't didn't isn't wasn't aren't can't
        couldn't won't wouldn't shouldn't haven't hasn't i'm i've i'll i'd it's
        that's you're they're we're there's dont cant didnt doesnt im ive its thats
        awesome amazing excellent perfect fantastic terrible awful horrible happy
        sad angry worried flight flights cancelled delayed guys sound sounds guitar
        strings problem issue broken wrong right easy new old think know see say
        said tell told ask asked come came find found look looks feel feels as oh
        god wanna gonna gotta ya u ur thnx thx pls lol omg that'll it'll you'll
        we'll lovely cool super four five six ten star stars hour hours minute
        minutes die person what's let's let every everything nothing something
        anything anyone someone people another same own long little big small enough
        around against per via""",
    "es": """
        el la los las un una unos unas de del al que y o pero si no en con sin por
        para como más muy mi tu su mis tus sus me te se lo le les nos yo él ella
        usted ustedes nosotros es son era fue ser está están estoy estaba ha han he
        hay tengo tiene este esta esto ese esa eso también ya cuando donde porque
        qué cómo todo toda todos nada nunca siempre hola gracias muchas buenos
        buenas días pedido envío producto servicio excelente malo mala bueno buena
        pésimo perfecto encanta gusta dinero llegó quiero""",
    "fr": """
        le la les un une des de du au aux que qui et ou mais si ne pas non en dans
        avec sans sur par pour comme plus très mon ton son ma ta sa mes tes ses
        notre votre nos vos je tu il elle on nous vous ils elles me te se est sont
        était être suis êtes ai as avons avez ont ce cet cette ces ça c'est j'ai
        n'est qu'il d'un d'une l'on aussi déjà quand où parce quoi tout tous toute
        rien jamais toujours bonjour merci beaucoup bien commande livraison produit
        service colis reçu génial parfait j'adore""",
    "de": """
        der die das den dem des ein eine einen einem einer und oder aber wenn nicht
        kein keine in im mit ohne auf von vom für wie mehr sehr mein dein sein ihr
        unser euer ich du er sie es wir mich mir dich dir uns euch sich ist sind war
        waren bin bist wird werden wurde haben habe hat hatte diese dieser dieses
        auch schon wann wo warum weil was alles nichts nie immer noch nur zu zum zur
        bei nach aus über danke bitte hallo gut schlecht bestellung lieferung leider
        toll ganz kann doch dass vielen""",
    "it": """
        il lo la i gli le un uno una di del della dei delle al alla che chi e o ma
        se non in nel nella con senza su per come più molto mio tuo suo mia tua sua
        io tu lui lei noi voi loro mi ti si ci vi è sono era essere stato stata ho
        hai ha abbiamo hanno questo questa quello anche già quando dove perché cosa
        tutto tutti niente mai sempre ciao grazie buongiorno ordine spedizione
        prodotto servizio ottimo pessimo bello perfetto arrivato molto bene""",
    "pt": """
        o a os as um uma uns umas de do da dos das ao que e ou mas se não em no na
        nos nas com sem por para como mais muito meu teu seu minha tua sua eu tu ele
        ela você vocês nós me te lhe é são era foi ser está estão estou tenho tem
        têm este esta isto esse essa isso também já quando onde porque tudo todos
        nada nunca sempre olá obrigado obrigada bom boa pedido entrega produto
        serviço ótimo péssimo adorei chegou""",
    "nl": """
        de het een en of maar als niet geen in op met zonder van voor door om aan
        bij naar uit over meer zeer heel erg mijn jouw zijn haar ons onze jullie hun
        ik jij je u hij zij ze wij we mij me is was waren ben bent wordt worden heb
        hebt heeft hebben had deze dit die dat ook al wanneer waar waarom omdat wat
        alles niets nooit altijd nog bedankt dank hallo goed slecht bestelling
        levering product graag veel""",
    "sv": """
        och att det som en ett den är var inte på för med av till från om men eller
        så jag du han hon vi ni de mig dig oss er sig min din sin mitt har hade kan
        ska vill blir detta denna dessa också redan när där varför alla allt inget
        aldrig alltid mycket tack hej bra dålig leverans beställning""",
    "da": """
        og at det som en et den er var ikke på for med af til fra om men eller så
        jeg du han hun vi i de mig dig os jer sig min din sin mit har havde kan skal
        vil bliver dette denne disse også allerede når hvor hvorfor alle alt intet
        aldrig altid meget tak hej god dårlig levering bestilling""",
    "no": """
        og å at det som en et den er var ikke på for med av til fra om men eller så
        jeg du han hun vi dere de meg deg oss seg min din sin mitt har hadde kan
        skal vil blir dette denne disse også allerede når hvor hvorfor alle alt
        ingenting aldri alltid mye veldig takk hei bra dårlig levering bestilling""",
    "fi": """
        ja on ei en se että oli hän minä sinä me te he ovat olen olet mutta kun jos
        niin kuin myös vain nyt jo tämä nämä mikä missä miksi kaikki mitään aina
        koskaan hyvin hyvä huono kiitos hei tilaus toimitus tuote paljon sitten
        vielä mitä""",
    "pl": """
        i w z na do nie się to że jest są był była było być jak ale lub czy dla od
        po przez przy co kto gdzie kiedy dlaczego ten ta te tego tej mój moja moje
        twój jego jej nas was ja ty on ona my wy oni mam ma mają bardzo już tylko
        też wszystko nic nigdy zawsze dziękuję dzień dobry zamówienie przesyłka
        produkt polecam""",
    "cs": """
        a i v z na do ne se to že je jsou byl byla bylo být jak ale nebo pro od po
        přes při co kdo kde kdy proč ten ta tento tato můj moje tvůj jeho její nás
        vás já ty on ona my vy oni mám má mají velmi už jen také všechno nic nikdy
        vždy děkuji dobrý den objednávka zásilka""",
    "hu": """
        a az egy és vagy de ha nem is hogy ez azt ezt volt van vannak lesz én te ő
        mi ti ők nekem neked meg már csak mert mint nagyon jó rossz minden semmi
        soha mindig köszönöm szia rendelés szállítás termék kell lehet még""",
    "ro": """
        și sau dar dacă nu în la cu fără pe de din pentru ca mai foarte meu mea tău
        sa eu tu el ea noi voi ei mă te se este sunt era fost am ai are avem au
        acest această asta și când unde deci tot nimic niciodată mereu mulțumesc
        bună comanda livrare produs""",
    "tr": """
        ve veya ama bir bu şu o ben sen biz siz onlar benim senin için ile gibi daha
        çok en değil var yok mı mi mu ne nasıl neden nerede zaman her hiç hep asla
        da de ki evet hayır teşekkürler teşekkür ederim merhaba iyi kötü sipariş
        kargo ürün güzel""",
    "id": """
        yang dan di ke dari ini itu untuk dengan tidak ada adalah saya kamu anda
        kami kita mereka dia sudah belum akan bisa juga karena tapi atau jika sangat
        lebih semua apa bagaimana kenapa kapan terima kasih barang pesanan
        pengiriman bagus jelek""",
}

WORDS: Final[dict[str, tuple[str, ...]]] = {}
"""Word → the languages whose list has it."""

for _language, _words in _LISTS.items():
    for _word in dict.fromkeys(_words.split()):
        WORDS[_word] = (*WORDS.get(_word, ()), _language)
