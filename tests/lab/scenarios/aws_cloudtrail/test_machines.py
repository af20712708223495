"""Instances and containers: launched by a stolen key, looked at and stopped."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.places.aws import Aws
from tests.lab.scenarios.aws_cloudtrail.account import SECONDS, alert, read
from tests.lab.story import Tell

LAUNCHED = "Run Instances"
ELSEWHERE = "Run Instances in Non-approved Region"
SERVICE = "ECS Service Created"
TASK = "ECS Task Run or Started"
RULES = (LAUNCHED, ELSEWHERE, SERVICE, TASK)
SHELL = {"name": "job", "image": "registry.evil.example/miner:1", "command": ["sh", "-c", "id"], "memory": 128}


@pytest.mark.parametrize(("rule", "region"), [(LAUNCHED, "eu-central-1"), (ELSEWHERE, "ap-southeast-2")])
def test_instances_are_launched(aws: Aws, tell: Tell, rule: str, region: str) -> None:
    image = aws.call("ec2", "describe_images", region)["Images"][0]["ImageId"]
    launch = {"ImageId": image, "MaxCount": 1, "MinCount": 1}
    other = aws.call("ec2", "run_instances", region, **launch)["Instances"][0]["InstanceId"]
    mine = aws.call("ec2", "run_instances", region, **launch | {"MaxCount": 2, "MinCount": 2})["Instances"]
    ids = [each["InstanceId"] for each in mine]
    answer = {"instancesSet": {"items": [{"instanceId": each} for each in ids]}}
    fields = {"ct.region": region}
    report = alert(aws, tell, rule, ("RunInstances", "ec2"), fields, awsRegion=region, responseElements=answer)

    def state(*wanted: str) -> list[str]:
        found = aws.call("ec2", "describe_instances", region, InstanceIds=list(wanted or ids))["Reservations"]
        return [each["State"]["Name"] for group in found for each in group["Instances"]]

    def snapshots() -> list[Any]:
        found = aws.call("ec2", "describe_snapshots", region, OwnerIds=["self"])["Snapshots"]
        return [each for each in found if each["Description"] == f"falco-{report.uid}"]

    read(aws, report)
    report.look("Which instances were launched?", shows=[*ids, "running"], hides=other, seconds=SECONDS)
    report.contain("Snapshot their disks", state=state, becomes=["stopped"] * 2, shows="stopp", seconds=SECONDS)
    assert state(other) == ["running"]
    assert len(snapshots()) == 2, "one snapshot a disk, none by the second run"
    report.undo(state=state, becomes=["running"] * 2, seconds=SECONDS)

    # What somebody else stopped since is not the undo's to start.
    aws.laptop.file(f"evidence/{report.uid}/stopped").unlink()
    aws.call("ec2", "stop_instances", region, InstanceIds=ids[:1])
    report.again("Snapshot their disks", seconds=SECONDS)
    report.again("Snapshot their disks", undo=True, seconds=SECONDS)
    assert state() == ["stopped", "running"]


@pytest.mark.parametrize("rule", [LAUNCHED, ELSEWHERE])
def test_the_instances_are_gone(aws: Aws, tell: Tell, rule: str) -> None:
    image = aws.call("ec2", "describe_images")["Images"][0]["ImageId"]
    launch = {"ImageId": image, "MaxCount": 1, "MinCount": 1}
    other = aws.call("ec2", "run_instances", **launch)["Instances"][0]["InstanceId"]
    answer = {"instancesSet": {"items": [{"instanceId": "i-0123456789abcdef0"}]}}
    report = alert(aws, tell, rule, ("RunInstances", "ec2"), responseElements=answer)
    stop = "Snapshot their disks"
    report.again(stop, shows="no_instances_known", seconds=SECONDS)
    read(aws, report)
    report.look("Which instances were launched?", hides=["i-0", "i-1"], seconds=SECONDS)
    report.again(stop, shows="no_instances_known", seconds=SECONDS)
    report.again(stop, undo=True, shows="none was stopped", seconds=SECONDS)

    # Terminated between the look and the step.
    mine = aws.call("ec2", "run_instances", **launch)["Instances"][0]["InstanceId"]
    answer = {"instancesSet": {"items": [{"instanceId": mine}]}}
    report = alert(aws, tell, rule, ("RunInstances", "ec2"), {"ct.srcip": "203.0.113.46"}, responseElements=answer,
                   sourceIPAddress="203.0.113.46")  # fmt: skip
    report.look("Read exactly this event", seconds=SECONDS)
    report.look("Which instances were launched?", shows=[mine, "running"], hides=other, seconds=SECONDS)
    aws.call("ec2", "terminate_instances", InstanceIds=[mine])
    report.again(stop, shows="none runs", seconds=SECONDS)
    report.again(stop, undo=True, shows="none was stopped", seconds=SECONDS)
    found = aws.call("ec2", "describe_instances", InstanceIds=[mine, other])["Reservations"]
    states = {each["InstanceId"]: each["State"]["Name"] for group in found for each in group["Instances"]}
    assert states == {mine: "terminated", other: "running"}


def make_definition(aws: Aws) -> dict[str, Any]:
    """Make a cluster with a machine, and a task definition of mallory's; return the fields that tell of it."""
    aws.call("ecs", "create_cluster", clusterName="shop")
    aws.call("ecs", "register_task_definition", family="miner", containerDefinitions=[SHELL])
    return {"ct.request.cluster": "shop", "ct.request.taskdefinition": "miner:1"}


def test_a_service_is_created(aws: Aws, tell: Tell) -> None:
    fields = make_definition(aws) | {"ct.request.servicename": "web"}
    service = {"cluster": "shop", "taskDefinition": "miner:1"}
    aws.call("ecs", "create_service", serviceName="api", desiredCount=2, **service)
    made = aws.call("ecs", "create_service", serviceName="web", desiredCount=3, **service)
    answer = {"service": {name: made["service"][name] for name in ("clusterArn", "serviceArn")}}
    report = alert(aws, tell, SERVICE, ("CreateService", "ecs"), fields, responseElements=answer)

    def state(name: str = "web") -> Any:
        return aws.call("ecs", "describe_services", cluster="shop", services=[name])["services"][0]["desiredCount"]

    read(aws, report)
    report.look("What does it run", shows=["registry.evil.example/miner:1", '"sh"'], seconds=SECONDS)
    report.contain("scale it to nothing", state=state, becomes=0, shows="0", seconds=SECONDS)
    report.undo(state=state, becomes=3, seconds=SECONDS)
    assert state("api") == 2
    report.again("scale it to nothing", undo=True, shows="changed since", seconds=SECONDS)
    assert state() == 3


def test_a_task_is_run(aws: Aws, tell: Tell) -> None:
    fields = make_definition(aws)
    network = {"awsvpcConfiguration": {"subnets": [aws.call("ec2", "describe_subnets")["Subnets"][0]["SubnetId"]]}}
    run = {"cluster": "shop", "taskDefinition": "miner:1", "launchType": "FARGATE", "networkConfiguration": network}
    tasks = aws.call("ecs", "run_task", count=2, **run)["tasks"]
    other = aws.call("ecs", "run_task", **run)["tasks"][0]["taskArn"]
    arns = [each["taskArn"] for each in tasks]
    answer = {"tasks": [{name: each[name] for name in ("clusterArn", "taskArn")} for each in tasks]}
    report = alert(aws, tell, TASK, ("RunTask", "ecs"), fields, responseElements=answer)

    def state(*wanted: str) -> list[str]:
        found = aws.call("ecs", "describe_tasks", cluster="shop", tasks=list(wanted or arns))["tasks"]
        return [each["desiredStatus"] for each in found]

    read(aws, report)
    report.look("What does it run", shows="registry.evil.example/miner:1", seconds=SECONDS)
    before = state(other)
    report.contain("stop them", state=state, becomes=["STOPPED"] * 2, shows="STOPPED", seconds=SECONDS)
    assert state(other) == before != ["STOPPED"]
