"""Mails that come back, written as RFC 3464 and RFC 3834 have them."""


def report(
    to,
    *,
    action="failed",
    status="5.1.1",
    diagnostic="smtp; 550 5.1.1 <ada@example.com>: no such user",
    message_id="<report-1@mx.example>",
    date="Mon, 02 Mar 2026 08:30:00 +0000",
):
    return f"""\
Return-Path: <>
Delivered-To: {to}
From: Mail Delivery System <MAILER-DAEMON@mx.example>
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: {message_id}
Date: {date}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="edge"

--edge
Content-Type: text/plain

I am sorry to have to tell you that your message could not be delivered.

--edge
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; ada@example.com
Action: {action}
Status: {status}
Diagnostic-Code: {diagnostic}

--edge
Content-Type: message/rfc822

From: hello@shop.example
To: ada@example.com
Subject: Spring

Hello Ada
--edge--
""".encode()


def letter(to, text, *, subject="Re: Spring", more=""):
    return f"""\
Delivered-To: {to}
From: Ada <ada@example.com>
To: {to}
Subject: {subject}
Message-ID: <letter-1@example.com>
Date: Mon, 02 Mar 2026 08:30:00 +0000
{more}Content-Type: text/plain; charset=utf-8

{text}
""".encode()
