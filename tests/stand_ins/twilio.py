"""What Twilio posts besides what its stand-in in `deploy/local` does by itself."""

from deploy.local.fake_twilio import ACCOUNT_SID


def inbound(sid: str, phone: str, to: str, body: str, account_sid: str = ACCOUNT_SID) -> dict[str, str]:
    """The form that Twilio posts when somebody has sent a text."""
    return {
        "AccountSid": account_sid, "ApiVersion": "2010-04-01", "Body": body, "From": phone, "FromCity": "",
        "FromCountry": "US", "FromState": "IL", "FromZip": "", "MessageSid": sid, "NumMedia": "0", "NumSegments": "1",
        "SmsMessageSid": sid,
        "SmsSid": sid, "SmsStatus": "received", "To": to, "ToCity": "", "ToCountry": "US", "ToState": "NY", "ToZip": "",
    }  # fmt: skip
