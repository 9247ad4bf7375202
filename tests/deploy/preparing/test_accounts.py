"""Who may do what at Kafka, as it follows from the contract."""

from confluent_kafka.admin import AclOperation, ResourceType

from deploy.preparing.accounts import ACCOUNTS, rights
from shared.contract.topics import CLINIC_TOPICS, DEAD_LETTER_TOPICS, ERASABLE, SERVICE_TOPICS

ALL = {*CLINIC_TOPICS, *SERVICE_TOPICS, *DEAD_LETTER_TOPICS}


def who(operation: AclOperation, topic: str) -> set[str]:
    """The accounts that may do it."""
    wanted = (operation, ResourceType.TOPIC, topic)
    return {a for a in ACCOUNTS for r in rights(a) if (r.operation, r.restype, r.name) == wanted}


def test_each_topic_is_written_by_its_owner_alone() -> None:
    assert {topic: who(AclOperation.WRITE, topic) for topic in ALL} == {topic: {topic.split(".")[0]} for topic in ALL}


def test_personal_topics_are_read_by_the_one_service_that_needs_them() -> None:
    assert {topic: who(AclOperation.READ, topic) for topic in ERASABLE} == {
        "clinic.contacts": {"reminders"},
        "clinic.patients": {"billing"},
    }
    assert all(who(AclOperation.READ, topic) == set() for topic in DEAD_LETTER_TOPICS)


def test_nobody_may_do_more_than_read_and_write_topics_and_be_in_a_group_of_his_own() -> None:
    for account in ACCOUNTS:
        for right in rights(account):
            assert right.principal == f"User:{account}"
            assert right.operation in (AclOperation.READ, AclOperation.WRITE)
            assert right.restype is ResourceType.TOPIC or right.name == account
